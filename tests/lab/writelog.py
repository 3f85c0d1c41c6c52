"""The log that QEMU's blklogwrites driver keeps of a disk, and what a power cut can leave of that disk.

The format is that of Linux's dm-log-writes: a superblock, then for each request a head and its data, each in whole sectors.
A disk with a volatile cache promises this: what was written before a flush that was answered is there; of what was written
after the last flush, any part may be, in any order. So one run gives as many power cuts as there are places in its log.
"""

import random
import struct

SUPERBLOCK = struct.Struct("<QQQI")  # magic, version, entries, sector size
ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, bytes of data that belong to the head
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4
MARK = b"lab-mark: "


class Entry:
    def __init__(self, offset, length, flags, position):
        self.offset, self.length, self.flags, self.position = offset, length, flags, position


class WriteLog:
    def __init__(self, path, marks_at):
        """`marks_at`: writes to the disk from here on are marks, texts that begin with MARK."""
        self.path, self.entries, self.marks = path, [], {}
        with open(path, "rb") as file:
            magic, _, count, sector = SUPERBLOCK.unpack(file.read(SUPERBLOCK.size))
            assert magic == MAGIC, f"{path} is no log of writes"
            position = sector
            for _ in range(count):
                file.seek(position)
                at, length, flags, _ = ENTRY.unpack(file.read(ENTRY.size))
                position += sector
                entry = Entry(at * sector, length * sector, flags, position)
                if not flags & DISCARD:
                    position += entry.length
                if entry.offset >= marks_at and entry.length:
                    file.seek(entry.position)
                    text = file.read(200)
                    if text.startswith(MARK):
                        self.marks[text[len(MARK):text.index(b"\n")].decode()] = len(self.entries)
                self.entries.append(entry)

    def last_flush(self, end):
        """Index of the last flush before entry `end`; 0 when there is none."""
        return next((i for i in range(end - 1, -1, -1) if self.entries[i].flags & FLUSH), 0)

    def cut(self, disk, end, seed):
        """Makes `disk`, a copy of what it was at first, what a power cut before entry `end` may leave. Returns how many of the
        writes after the last flush got lost."""
        chance, flushed, lost = random.Random(seed), self.last_flush(end), 0
        with open(self.path, "rb") as log, open(disk, "r+b") as out:
            for index in range(end):
                entry = self.entries[index]
                if not entry.length:
                    continue
                if index > flushed and not entry.flags & FUA and chance.random() < 0.5:
                    lost += 1
                    continue
                out.seek(entry.offset)
                if entry.flags & DISCARD:
                    remaining = entry.length  # reads as anything; zeros are the least helpful
                    while remaining > 0:
                        piece = min(remaining, 1 << 20)
                        out.write(bytes(piece))
                        remaining -= piece
                else:
                    log.seek(entry.position)
                    out.write(log.read(entry.length))
        return lost
