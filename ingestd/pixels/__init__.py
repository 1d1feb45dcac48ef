"""The arithmetic on arrays: members to a master, raw to reduced, image to quality figures.

No file, no log, no thread, no clock: rows come from a ``RowReader`` and go to a ``write_block`` that the caller passes
in, so memory is a few row blocks and never a cube of frames. Arrays are (ny, nx), float32 unless said; ADU until a gain
turns them into electrons; masks are uint8 with the bits of ``records.MaskBit``.

    blocks      RowReader: what every source of rows can do
    combine/    members -> master: clipped mean, standard error, count, mask
    moderating  the standard error of a master of few frames: each pixel's own and that of its neighbourhood
    steps/      raw rows -> calibrated rows: the ordered table STEPS and the single pass over it
    cosmics/    cosmic rays in a single frame: exact, sparse L.A.Cosmic; a library of its own, no step yet
    quality/    one function for every row of ``metrics.METRICS``
    inspecting/ what people compute by hand, the naive figures beside the right ones
"""
