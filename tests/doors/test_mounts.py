"""Which mount holds a path, and what it cannot do."""

import pytest

from ingestd.doors.mounts import Mount, is_below, mount_of, mounts_of, parse_mountinfo, read_mounts

MOUNTINFO = rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/camera\040one rw,relatime - nfs4 server:/export rw,vers=4.2
31 22 0:41 /night /mnt/bind rw master:1 propagate_from:2 - ext4 /dev/sdb1 rw
32 22 0:42 / /mnt/sshfs rw - fuse.sshfs user@host:/ rw
33 22 0:43 / /mnt/usb rw - fuseblk /dev/sdc1 rw
34 22 0:44 / /mnt/usb rw - cifs //server/share rw
35 22 0:45 / /mnt/usb2 rw - tmpfs tmpfs rw
this line is not one
"""


def test_mount_table_is_read_with_its_escapes_and_optional_fields():
    mounts = parse_mountinfo(MOUNTINFO)
    assert mounts[0] == Mount("/", "ext4", "/dev/sda1", "/")
    assert mounts[1] == Mount("/mnt/camera one", "nfs4", "server:/export", "/")
    assert mounts[2] == Mount("/mnt/bind", "ext4", "/dev/sdb1", "/night")
    assert len(mounts) == 7


@pytest.mark.parametrize(
    ("directory", "types"),
    [
        ("/home/incoming", {"ext4"}),
        ("/mnt/camera one/night", {"nfs4"}),
        ("/mnt/usb", {"cifs"}),  # mounted over the disk
        ("/mnt/usb2", {"tmpfs"}),
        ("/mnt", {"ext4", "nfs4", "fuse.sshfs", "cifs", "tmpfs"}),  # with all that is mounted below
    ],
)
def test_mounts_of_a_directory(directory, types):
    assert {mount.fs_type for mount in mounts_of(directory, parse_mountinfo(MOUNTINFO))} == types


@pytest.mark.parametrize(
    ("path", "fs_type"),
    [
        ("/data/catalogue.sqlite", "ext4"),
        ("/mnt/camera one", "nfs4"),
        ("/mnt/camera one/catalogue.sqlite", "nfs4"),
        ("/mnt/camera ones/catalogue.sqlite", "ext4"),
        ("/mnt/usb/catalogue.sqlite", "cifs"),
    ],
)
def test_innermost_and_latest_mount_holds_a_path(path, fs_type):
    assert mount_of(path, parse_mountinfo(MOUNTINFO)).fs_type == fs_type


@pytest.mark.parametrize(
    ("fs_type", "is_network", "has_remote_writers"),
    [
        *((name, True, True) for name in ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse")),
        *((name, False, True) for name in ("virtiofs", "vboxsf")),
        *((name, False, False) for name in ("ext4", "tmpfs", "fuseblk", "overlay")),
    ],
)
def test_kinds_of_file_systems(fs_type, is_network, has_remote_writers):
    mount = Mount("/", fs_type, "x", "/")
    assert (mount.is_network, mount.has_remote_writers) == (is_network, has_remote_writers)


def test_mounts_of_this_machine_are_read():
    assert any(mount.point == "/" for mount in read_mounts())


def test_below_means_a_whole_directory_name():
    assert is_below("/a/b", "/a")
    assert is_below("/a", "/a")
    assert is_below("/a", "/")
    assert not is_below("/ab", "/a")
