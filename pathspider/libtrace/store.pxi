# Packets that are held until it is known whether somebody wants to see them: the first of each flow, in a fixed room.
#
# Under the interpreter's lock, and nothing here gives it away: whichever thread lets go of a flow's packets frees them.

cdef extern from "sys/mman.h":
    void *mmap(void *, size_t, int, int, int, long)
    int munmap(void *, size_t)
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS
    void *MAP_FAILED

cdef enum:
    BLOCK = 256         # octets of a block of the room, which belongs to one flow
    CONTENT = 252       # of which these hold packets; the others lead to the flow's next block
    MOST_HELD = 64      # packets of one flow
    LAST_HELD = 8       # packets of a long flow that stay when others need room
    UNLINKED = 0xffffffff

cdef enum:
    NO_LIST, LONG, SHORT

cdef struct HeldHeader:
    int64_t ts
    uint32_t caplen
    uint32_t wire_len

cdef struct Held:
    # A flow's packets: a header and octets each, through all its blocks.
    Held *older         # in the list of long or short ones
    Held *newer
    uint32_t first, last, blocks
    uint32_t used       # octets in the last block
    uint32_t count, seen
    uint32_t short_last, short_used, short_blocks  # where the packets end that stay
    uint8_t of          # LONG: more than LAST_HELD packets; SHORT: fewer; NO_LIST: none
    uint8_t closed      # takes no more

cdef struct HeldList:
    Held *oldest
    Held *newest


cdef void _enlist(HeldList *lst, Held *held) noexcept:
    held.older = lst.newest
    held.newer = NULL
    if lst.newest != NULL:
        lst.newest.newer = held
    else:
        lst.oldest = held
    lst.newest = held


cdef void _unlist(HeldList *lst, Held *held) noexcept:
    if held.older != NULL:
        held.older.newer = held.newer
    else:
        lst.oldest = held.newer
    if held.newer != NULL:
        held.newer.older = held.older
    else:
        lst.newest = held.older


cdef class PacketStore:
    """Room for the first packets of flows, :data:`MOST_HELD` of each at most.

    When it is full, the oldest of the flows that have more than :data:`LAST_HELD` keeps only so many; where there is
    none, the oldest flow loses all.

    :param octets: how much memory that is; it is only touched as far as it is needed
    """

    cdef uint8_t *room
    cdef readonly uint32_t size, free
    """Blocks, and those of them that nobody has."""
    cdef uint32_t spare     # the first of those that were given back
    cdef uint32_t fresh     # from here on, blocks were never used
    cdef HeldList lists[3]
    cdef readonly uint64_t shortened, lost
    """Flows of which packets had to go that were held already: some of them, all."""

    def __cinit__(self, size_t octets):
        if not BLOCK <= octets < <size_t>BLOCK * UNLINKED:
            raise ValueError(f"{octets} octets: room for a block, of {BLOCK}, at least")
        self.size = self.free = <uint32_t>(octets // BLOCK)
        self.spare = UNLINKED
        self.room = <uint8_t *>mmap(NULL, <size_t>self.size * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                                    -1, 0)
        if self.room == <uint8_t *>MAP_FAILED:
            self.room = NULL
            raise MemoryError

    def __dealloc__(self):
        if self.room != NULL:
            munmap(self.room, <size_t>self.size * BLOCK)

    cdef inline uint32_t *link(self, uint32_t block) noexcept:
        return <uint32_t *>(self.room + <size_t>block * BLOCK)

    cdef uint32_t take(self) noexcept:
        """A block; there must be a free one."""
        cdef uint32_t block = self.spare
        if block != UNLINKED:
            self.spare = self.link(block)[0]
        else:
            block = self.fresh
            self.fresh += 1
        self.link(block)[0] = UNLINKED
        self.free -= 1
        return block

    cdef void give(self, uint32_t first, uint32_t last, uint32_t count) noexcept:
        if count:
            self.link(last)[0] = self.spare
            self.spare = first
            self.free += count

    cdef void empty(self, Held *held) noexcept:
        """All of its packets go."""
        if held.of != NO_LIST:
            _unlist(&self.lists[held.of], held)
            held.of = NO_LIST
        self.give(held.first, held.last, held.blocks)
        held.blocks = held.count = 0
        held.closed = True

    cdef void shorten(self, Held *held) noexcept:
        """All but its first packets go."""
        cdef uint32_t rest = held.blocks - held.short_blocks
        if rest:
            self.give(self.link(held.short_last)[0], held.last, rest)
            self.link(held.short_last)[0] = UNLINKED
        _unlist(&self.lists[LONG], held)
        _enlist(&self.lists[SHORT], held)
        held.of = SHORT
        held.last, held.used, held.blocks = held.short_last, held.short_used, held.short_blocks
        held.count = LAST_HELD
        held.closed = True

    cdef void make_room(self, uint32_t blocks) noexcept:
        """So many free blocks, unless all together are fewer."""
        while self.free < blocks:
            if self.lists[LONG].oldest != NULL:
                self.shorten(self.lists[LONG].oldest)
                self.shortened += 1
            elif self.lists[SHORT].oldest != NULL:
                self.empty(self.lists[SHORT].oldest)
                self.lost += 1
            else:
                return

    cdef void add(self, Held *held, const uint8_t *p, uint32_t caplen, uint32_t wire_len, int64_t ts) noexcept:
        cdef HeldHeader header
        cdef uint32_t left = CONTENT - held.used if held.blocks else 0
        cdef uint32_t need = sizeof(HeldHeader) + caplen
        held.seen += held.seen < UNLINKED
        if held.closed:
            return
        need = (need - left + CONTENT - 1) // CONTENT if need > left else 0
        if need > self.free:
            self.make_room(need)
            if need > self.free or held.closed:  # it may have been the one that had to go
                held.closed = True
                return
        header.ts, header.caplen, header.wire_len = ts, caplen, wire_len
        self.write(held, <const uint8_t *>&header, sizeof(header))
        self.write(held, p, caplen)
        held.count += 1
        if held.of == NO_LIST:
            held.of = SHORT
            _enlist(&self.lists[SHORT], held)
        if held.count == LAST_HELD:
            held.short_last, held.short_used, held.short_blocks = held.last, held.used, held.blocks
        elif held.count == LAST_HELD + 1:
            _unlist(&self.lists[SHORT], held)
            _enlist(&self.lists[LONG], held)
            held.of = LONG
        if held.count == MOST_HELD:
            held.closed = True

    cdef void write(self, Held *held, const uint8_t *p, uint32_t length) noexcept:
        """Octets behind those that are there; the blocks for them must be free."""
        cdef uint32_t part, block
        while length:
            if held.blocks == 0 or held.used == CONTENT:
                block = self.take()
                if held.blocks:
                    self.link(held.last)[0] = block
                else:
                    held.first = block
                held.last = block
                held.used = 0
                held.blocks += 1
            part = min(length, <uint32_t>CONTENT - held.used)
            memcpy(self.room + <size_t>held.last * BLOCK + 4 + held.used, p, part)
            held.used += part
            p += part
            length -= part

    cdef uint32_t read(self, uint32_t block, uint32_t *at, uint8_t *out, uint32_t length) noexcept:
        """Octets from a place of a block on; the block where the next ones are."""
        cdef uint32_t part
        while length:
            if at[0] == CONTENT:
                block = self.link(block)[0]
                at[0] = 0
            part = min(length, <uint32_t>CONTENT - at[0])
            memcpy(out, self.room + <size_t>block * BLOCK + 4 + at[0], part)
            at[0] += part
            out += part
            length -= part
        return block


@cython.no_gc
cdef class Packets:
    """The first packets of one flow, in a :class:`PacketStore`; they are given back with the last reference."""

    cdef PacketStore store
    cdef Held held

    def __init__(self):
        raise TypeError("a flow table makes them")

    def __dealloc__(self):
        if self.store is not None:
            self.store.empty(&self.held)

    def __len__(self):
        return self.held.count

    @property
    def seen(self):
        """Packets that the flow had."""
        return self.held.seen

    def read(self):
        """The packets, ``(ns since 1970, octets on the wire, octets that were captured)`` each."""
        cdef uint32_t block = self.held.first, at = 0
        cdef HeldHeader header
        cdef bytes data
        cdef list found = []
        for _ in range(self.held.count):
            block = self.store.read(block, &at, <uint8_t *>&header, sizeof(header))
            data = PyBytes_FromStringAndSize(NULL, header.caplen)
            block = self.store.read(block, &at, <uint8_t *>PyBytes_AS_STRING(data), header.caplen)
            found.append((header.ts, header.wire_len, data))
        return found


cdef Packets _new_packets(PacketStore store):
    cdef Packets packets = Packets.__new__(Packets)
    packets.store = store
    return packets
