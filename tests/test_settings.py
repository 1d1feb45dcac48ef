"""Settings: config.toml as shipped equals the defaults; a mistake is named with key, value and what is allowed."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from ingestd.errors import SettingsInvalid
from ingestd.settings import Camera, Keywords, Settings, load_settings, parse_settings

SHIPPED = Path(__file__).parents[1] / "config.toml"
ONE_CAMERA = {"camera": [{"name": "main"}]}


def test_shipped_file_equals_the_defaults():
    assert parse_settings(tomllib.loads(SHIPPED.read_text())) == parse_settings({"camera": [{"name": "camera1"}]})


def test_relative_paths_are_taken_from_the_directory_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "x.toml").write_text('[[camera]]\nname = "a"\ndirectories = ["incoming", "../far", "/raw"]\n')
    monkeypatch.chdir(tmp_path)
    settings = load_settings(Path("site/x.toml"))
    monkeypatch.chdir("/")
    assert settings == load_settings(tmp_path / "site" / "x.toml")
    assert settings.data_dir == tmp_path / "site" / "data"
    assert settings.roots == (tmp_path / "site" / "incoming", tmp_path / "far", Path("/raw"))


def test_shipped_file_shows_every_key():
    """Every field of every section stands in the file, at least as a comment."""
    text = SHIPPED.read_text()

    def missing(cls):
        for field in dataclasses.fields(cls):
            value = field.default if field.default is not dataclasses.MISSING else None
            section = field.default_factory() if field.default_factory is not dataclasses.MISSING else value
            if dataclasses.is_dataclass(section):
                yield from missing(type(section))
            elif not re.search(
                rf"^(# )?{field.name} = |^(# )?\[+(camera\.)?{field.name}(\.\w+)?\]", text, re.MULTILINE
            ):
                yield f"{cls.__name__}.{field.name}"

    assert [*missing(Settings), *missing(Camera), *missing(Keywords)] == []


def test_commented_keys_are_valid_when_uncommented():
    text = re.sub(r"^# ?(?=[\[a-z])(?!ingestd settings|Relative)", "", SHIPPED.read_text(), flags=re.MULTILINE)
    settings = parse_settings(tomllib.loads(text))
    assert settings.site.longitude_deg == -105.82
    assert settings.camera[0].keywords.words == {"MYBIAS": "bias"}
    assert settings.camera[0].amplifiers[0].read_noise_e == 7.6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mastres": {}}, ["mastres", "unknown key", "did you mean 'masters'"]),
        ({"masters": {"flat": {"minimun": 2}}}, ["masters.flat.minimun", "unknown key", "'minimum'"]),
        ({"masters": {"flat": {"minimum": "2"}}}, ["masters.flat.minimum = '2'", "a whole number"]),
        ({"masters": {"flat": {"minimum": True}}}, ["masters.flat.minimum = True", "a whole number"]),
        ({"masters": {"sigma": -1}}, ["masters.sigma = -1.0", "between 1 and 100"]),
        ({"masters": {"sigma": float("nan")}}, ["masters.sigma = nan", "between 1 and 100"]),
        ({"masters": {"bias": {"minimum": 9, "maximum": 4}}}, ["masters.bias.minimum = 9", "maximum = 4"]),
        ({"screening": {"flat_min_level": 0.95}}, ["screening.flat_min_level = 0.95", "flat_max_level = 0.9"]),
        ({"web": []}, ["web = []", "must be a table"]),
        ({"web": {"port": 70000}}, ["web.port = 70000", "between 0 and 65535"]),
        ({"arrival": {"polling": "allways"}}, ["arrival.polling = 'allways'", "'auto'", "did you mean 'always'"]),
        ({"camera": []}, ["no [[camera]]"]),
        ({"camera": [{}]}, ["camera.name", "missing"]),
        ({"camera": [{"name": "a/b"}]}, ["camera.name = 'a/b'", "letters"]),
        ({"camera": [{"name": "a"}, {"name": "a"}]}, ["camera.name = 'a'", "two cameras"]),
        ({"camera": [{"name": "a", "directories": "x"}]}, ["camera.directories = 'x'", "must be a list"]),
        ({"camera": [{"name": "a", "requires": ["drak"]}]}, ["camera.requires = 'drak'", "bias, dark and flat"]),
        ({"camera": [{"name": "a", "match": {"INSTRUME": []}}]}, ["camera.match", "table of single values"]),
        (
            {"camera": [{"name": "a", "amplifiers": [{"overscan": "[1:5,1:9]"}]}]},
            ["camera.amplifiers.section", "missing"],
        ),
        (
            {"camera": [{"name": "a", "amplifiers": [{"section": "1:5"}]}]},
            ["camera.amplifiers.section = '1:5'", "[1:1024,1:2048]"],
        ),
        (
            {"camera": [{"name": "a", "amplifiers": [{"section": "[1:5,1:9]", "gain_e_per_ad": 2}]}]},
            ["camera.amplifiers.gain_e_per_ad:", "unknown key", "did you mean 'gain_e_per_adu'"],
        ),
        (
            {"camera": [{"name": "a", "amplifiers": [{"section": "[1:5,1:9]", "gain_e_per_adu": 0}]}]},
            ["camera.amplifiers.gain_e_per_adu = 0.0", "between 0.0001 and 10000"],
        ),
        (
            {
                "camera": [
                    {"name": "a", "amplifiers": [{"section": "[1:5,1:9]", "name": "2"}, {"section": "[6:9,1:9]"}]}
                ]
            },
            ["camera.amplifiers.name = '2'", "two amplifiers"],
        ),
        ({"matching": {"flat": {"order": ["time"]}}}, ["matching.flat.order = ['time']", "each of policy, grade"]),
        ({"matching": {"flat": {"order": ["tmie"]}}}, ["matching.flat.order = 'tmie'", "did you mean 'time'"]),
        ({"matching": {"flat": {"numbers": {"ROT": "x"}}}}, ["matching.flat.numbers.ROT = 'x'", "a number"]),
        ({"matching": {"flat": {"numbers": {"ROT": -1}}}}, ["matching.flat.numbers.ROT = -1.0", "between 0"]),
        ({"matching": {"flat": {"periods": {"ROT": 360}}}}, ["matching.flat: ROT", "only one in numbers has a period"]),
        (
            {"matching": {"flat": {"exact": ["ROT"], "numbers": {"ROT": 1}}}},
            ["matching.flat: ROT", "either in exact or in numbers"],
        ),
        ({"masters": {"bias": {"grade_members": [3, 5, 10]}}}, ["masters.bias.grade_members", "green, yellow, orange"]),
        ({"masters": {"bias": {"grade_age_d": [30, 7]}}}, ["masters.bias.grade_age_d", "three numbers"]),
        (
            {"camera": [{"name": "a", "masters": {"dark": {"window": 3}}}]},
            ["camera.masters.dark.window:", "unknown key", "'window_d'"],
        ),
        (
            {"camera": [{"name": "a", "masters": {"dark": {"minimum": 90}}}]},
            ["camera.masters.dark.minimum = 90", "larger than maximum = 40"],
        ),
        ({"camera": [{"name": "a", "masters": {"sigma": 3.0}}]}, ["camera.masters.sigma", "unknown key"]),
        (
            {"paths": {"data": "incoming/data"}},
            ["paths.data = '", "/incoming/data': lies inside the watched directory"],
        ),
    ],
)
def test_mistake_is_named_with_key_value_and_what_is_allowed(change, words):
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings({**ONE_CAMERA, **change}, "config.toml")
    assert str(caught.value).startswith("config.toml: ")
    for word in words:
        assert word in str(caught.value)


def test_every_mistake_is_told_at_once():
    table = {"masters": {"sigma": 0.5}, "web": {"prot": 1}, "camera": [{"name": "a", "dark_policy": "x"}, {}]}
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(table, "config.toml")
    first, *mistakes = str(caught.value).splitlines()
    assert first == "config.toml: 4 mistakes:"
    told = ("camera.dark_policy = 'x'", "camera.name: missing", "masters.sigma = 0.5", "web.prot: unknown key")
    assert sorted(line.strip().startswith(tuple(told)) for line in mistakes) == [True] * 4


def test_mistakes_of_several_keys_are_told_at_once():
    table = {**ONE_CAMERA, "masters": {"bias": {"minimum": 9, "maximum": 4}}, "grading": {"red_sigma": 1.0}}
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(table, "config.toml")
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"masters": {"bias": {"sigma": 3.0}}}, "masters.bias.sigma: unknown key; it is masters.sigma"),
        ({"longitude_deg": 3.0}, "longitude_deg: unknown key; it is site.longitude_deg"),
        ({"gain_e_per_adu": 3.0}, "; it is camera.gain_e_per_adu or camera.amplifiers.gain_e_per_adu"),
        ({"web": {"nonsense": 1}}, "web.nonsense: unknown key; known are enabled, host, port"),
        ({"camera": [{"name": "a", "nonsense": 1}]}, "camera.nonsense: unknown key; known are name, directories"),
    ],
)
def test_hint_is_where_the_key_belongs_or_what_is_near(change, words):
    with pytest.raises(SettingsInvalid, match=re.escape(words)):
        parse_settings({**ONE_CAMERA, **change}, "config.toml")


def test_home_is_what_the_tilde_means(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    camera = {"name": "a", "directories": ["~/incoming", "x/~"]}
    settings = parse_settings({"paths": {"data": "~/data"}, "camera": [camera]}, folder=Path("/etc"))
    assert settings.data_dir == tmp_path / "data"
    assert settings.roots == (tmp_path / "incoming", Path("/etc/x/~"))


def test_toml_error_names_file_and_line(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("[site]\nname = \n")
    with pytest.raises(SettingsInvalid, match=r"broken\.toml: not valid TOML.*line 2"):
        load_settings(path)


def test_missing_file_is_said(tmp_path):
    with pytest.raises(SettingsInvalid, match="there is no such file"):
        load_settings(tmp_path / "none.toml")


def test_partial_master_rule_keeps_the_defaults_of_its_kind():
    settings = parse_settings({**ONE_CAMERA, "masters": {"dark": {"minimum": 2}}})
    assert (settings.masters.dark.minimum, settings.masters.dark.valid_d) == (2, 180.0)


def test_partial_matching_rule_keeps_optional_limits_unset():
    settings = parse_settings({**ONE_CAMERA, "matching": {"flat": {}}})
    assert settings.matching.flat.max_delta_temp_c is None


def test_camera_has_the_general_rules_but_for_the_keys_that_it_names():
    table = {
        "masters": {"dark": {"maximum": 60}, "flat": {"minimum": 5}},
        "matching": {"dark": {"max_delta_temp_c": 2.0, "max_scale_up": 3.0}},
        "camera": [
            {"name": "own", "masters": {"dark": {"valid_d": 10}}, "matching": {"dark": {"max_delta_temp_c": 1}}},
            {"name": "other"},
        ],
    }
    settings = parse_settings(table)
    own, other = settings.rules_of("own"), settings.rules_of("other")
    assert (own.masters.dark.maximum, own.masters.dark.valid_d, own.masters.flat.minimum) == (60, 10.0, 5)
    assert (own.matching.dark.max_delta_temp_c, own.matching.dark.max_scale_up) == (1.0, 3.0)
    assert (other.masters.dark.valid_d, other.matching.dark.max_delta_temp_c) == (180.0, 2.0)
    assert settings.rules_of("not in the settings") == other


def test_validity_before_and_after_may_differ():
    rule = parse_settings({**ONE_CAMERA, "masters": {"flat": {"valid_d": 9, "valid_before_d": 1}}}).masters.flat
    assert (rule.before_d, rule.after_d, rule.longest_d) == (1.0, 9.0, 9.0)


def test_cards_of_a_camera_are_those_of_all_kinds():
    table = {"bias": {"exact": ["speed"]}, "flat": {"numbers": {"ROTATOR": 1}, "exact": ["GRATING", "SPEED"]}}
    rules = parse_settings({**ONE_CAMERA, "matching": table}).rules_of("main")
    assert rules.cards() == ("GRATING", "ROTATOR", "SPEED")
    assert rules.cards("bias", "dark") == ("SPEED",)


def test_whole_number_is_taken_where_a_number_is_wanted():
    assert parse_settings({**ONE_CAMERA, "masters": {"sigma": 4}}).masters.sigma == 4.0


def test_a_path_that_cannot_be_one_is_a_mistake(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[paths]\ndata = "a\\u0000b"\n[[camera]]\nname = "main"\ndirectories = ["incoming"]\n')
    with pytest.raises(SettingsInvalid, match="NUL"):
        load_settings(path)
