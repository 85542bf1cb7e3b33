# Where packets come from: the consumer's end of a source (source.c). Which URI means what is decided in sources.py.

cdef extern from "source.h" nogil:
    struct ps_source
    struct ps_error_t "ps_error":
        int why
        int64_t number
        int64_t offset
        char text[512]
        char unpacker[16]
        int status
    struct ps_comment_t "ps_comment":
        int64_t offset
        uint32_t length
        uint32_t whole
        char text[240]
    int C_COMMENTS "PS_COMMENTS"
    struct ps_entry:
        uint32_t caplen
        uint32_t wire_len
        int32_t dlt
        int64_t ts
        ps_dec dec
    struct ps_counts_t "ps_counts":
        uint64_t read
        uint64_t dropped_kernel
        uint64_t dropped_ring
        uint64_t bytes_waiting
        uint64_t peak
        uint64_t absorbed
    struct ps_options:
        const char *bpf
        int snaplen
        size_t buffer
        size_t ring
        int promisc
        int live
        int decapsulate
        ps_reassembly *fragments
    enum: PS_WAIT_PACKETS
    enum: PS_WAIT_TIMEOUT
    enum: PS_WAIT_KICKED
    enum: PS_WAIT_ENDED
    ps_source *ps_open_live(const char *device, const ps_options *options, ps_error_t *error)
    ps_source *ps_open_fd(int fd, int wait, const ps_options *options, ps_error_t *error)
    ps_source *ps_open_libtrace(const char *uri, const ps_options *options, ps_error_t *error)
    int ps_have_libtrace()
    const ps_entry *ps_next(ps_source *s)
    const ps_entry *ps_ahead(ps_source *s, uint64_t *cursor)
    void ps_release(ps_source *s)
    int ps_wait(ps_source *s, int64_t timeout_ns)
    int ps_foreign(ps_source *s)
    void ps_stop(ps_source *s)
    unsigned ps_mark(ps_source *s)
    unsigned ps_marks_reached(ps_source *s)
    void ps_abandon(ps_source *s)
    int ps_waiting(ps_source *s, int64_t *oldest)
    void ps_kick(ps_source *s)
    void ps_counts(ps_source *s, ps_counts_t *out)
    void ps_error(ps_source *s, ps_error_t *out)
    uint64_t ps_comments(ps_source *s)
    const ps_comment_t *ps_comment(ps_source *s, uint64_t index)
    void ps_name_link(int dlt, char *out, size_t size)
    void ps_close(ps_source *s)
    void ps_interfaces_up(char *out, size_t size)
    struct ps_tap
    int ps_link(ps_source *s)
    void ps_attach(ps_source *s, ps_tap *tap)
    ps_tap *ps_tap_open(size_t room, int64_t unit)
    void ps_tap_free(ps_tap *t)
    void ps_tap_end(ps_tap *t)
    int ps_tap_ended(ps_tap *t)
    size_t ps_tap_next(ps_tap *t, size_t most, const uint8_t **blocks, size_t *packets)
    void ps_tap_release(ps_tap *t, size_t length)
    void ps_tap_wait(ps_tap *t, size_t most, int ms)
    void ps_tap_counts(ps_tap *t, uint64_t *offered, uint64_t *lost)

HAVE_LIBTRACE = bool(ps_have_libtrace())

cdef enum:
    BATCH = 4096             # packets between looks at what the interpreter wants
    SETTLE = 100000000       # ns by which a packet may come late to us on a live interface


class SourceError(Exception):
    """Why a source could not be opened, or ended: ``why`` (one of ``PS_E_*``), ``number``, ``offset``, ``text``. Where
    the file was unpacked by a program, ``unpacker`` is its name and ``status`` how it ended (0: well, or not yet)."""

    def __init__(self, why, number, offset, text, unpacker="", status=0):
        super().__init__(text)
        self.why, self.number, self.offset, self.text = why, number, offset, text
        self.unpacker, self.status = unpacker, status


def interfaces_up():
    """Names of the network interfaces that are up, as one text."""
    cdef char names[2048]
    ps_interfaces_up(names, sizeof(names))
    return names.decode(errors="replace")


cdef object _source_error(ps_error_t *error):
    return SourceError(error.why, error.number, error.offset, error.text.decode(errors="replace"),
                       error.unpacker.decode(errors="replace"), error.status)


def link_name(int number):
    """What pcap calls a link type: its name and what it is; empty where it has no name."""
    cdef char text[256]
    ps_name_link(number, text, sizeof(text))
    return text.decode(errors="replace")


cdef class Tap:
    """What a live source reads, as pcapng blocks for a file: :meth:`Reader.tap` makes it. One thread takes them."""

    cdef ps_tap *tap

    def __dealloc__(self):
        if self.tap != NULL:
            ps_tap_free(self.tap)

    def take(self, size_t most, int ms):
        """Waits, so many milliseconds at most, until there is something to be written. Whole blocks, in ``most`` octets
        or else one, and how many: none if there is none by now. None when there will be none any more."""
        cdef const uint8_t *blocks = NULL
        cdef size_t length, packets = 0
        cdef bint ended = ps_tap_ended(self.tap)  # asked first: what came before the end is then there
        if not ended:
            with nogil:
                ps_tap_wait(self.tap, most, ms)
            ended = ps_tap_ended(self.tap)
        length = ps_tap_next(self.tap, most, &blocks, &packets)
        if length == 0:
            return None if ended else (b"", 0)
        found = PyBytes_FromStringAndSize(<const char *>blocks, length)
        ps_tap_release(self.tap, length)
        return found, packets

    def end(self):
        """Any thread: takes no more packets; they count as lost."""
        ps_tap_end(self.tap)

    def counts(self):
        """Any thread: packets that were to go through, and those of them that could not."""
        cdef uint64_t offered, lost
        ps_tap_counts(self.tap, &offered, &lost)
        return offered, lost


@cython.no_gc_clear
cdef class Reader:
    """An open source and its reader thread. Made by :func:`live`, :func:`descriptor` and :func:`libtrace_uri`.

    One thread at a time takes packets: two at once raise ``RuntimeError``. All else is for any thread and for signal
    handlers, :meth:`close` too: who takes packets then gets no more, and frees the source when it lets go of it. All
    of it happens under the interpreter's lock, except waiting.
    """

    cdef ps_source *source
    cdef bint follows_clock
    cdef unsigned flush_asked
    cdef readonly unsigned flushed
    """The last :meth:`flush` that has been done."""
    cdef bint used, closing
    cdef uint64_t eaten
    cdef uint64_t most         # packets that may be taken
    cdef int64_t span, until   # ns: packets from the first one on, and since 1970, that may be taken; -1: not known
    cdef readonly bint reached
    """Whether a :meth:`limit` has been reached: whatever comes behind it does not matter."""
    cdef readonly int64_t first, latest
    """Times of the first packet and of the latest that :meth:`feed` has taken, ns since 1970; -1 if none was."""
    cdef int64_t at_work       # time of the packet that the chains look at; -1: none
    cdef int64_t sleeps_until  # packet time until which nothing but a packet is waited for; -1: awake
    cdef dict last_counts
    cdef tuple last_comments
    cdef Tap tapped
    cdef Reassembly fragments  # or None
    cdef uint64_t folded       # fragments that were taken as part of other packets
    cdef bint ended            # and freed: no thread reads any more

    def __cinit__(self):
        self.at_work = self.sleeps_until = self.span = self.until = self.first = self.latest = -1
        self.most = UINT64_MAX

    def __dealloc__(self):
        if self.source != NULL:
            with nogil:
                ps_close(self.source)

    cdef int _enter(self) except -1:
        if self.used:
            raise RuntimeError("packets of this source are being taken already: by another thread, or by who is "
                               "interrupted here")
        if self.source != NULL and ps_foreign(self.source):
            raise RuntimeError("this source was opened before a fork: only the process that opened it can read it")
        self.used = True
        return 0

    cdef int _leave(self) except -1:
        self.used = False
        self.at_work = self.sleeps_until = -1
        if self.closing:
            self._free()
        return 0

    def feed(self, FlowTable table not None):
        """Waits for packets and feeds them to the table. Returns the records of flows that ended, None when the source
        has ended and all its packets are eaten."""
        self._enter()
        try:
            return self._feed(table)
        finally:
            self._leave()

    cdef object _feed(self, FlowTable table):
        cdef const ps_entry *entry
        cdef const ps_entry *following
        cdef int n = 0, ahead = 1, waited
        cdef int64_t timeout
        cdef unsigned mark
        cdef uint64_t target, cursor = 0
        if self.source == NULL or self.closing or self.reached:
            return None
        if self._flush_due():
            mark = ps_marks_reached(self.source)
            target = self._put()
            while self.eaten < target and not self.closing and not self._is_enough():
                entry = ps_next(self.source)
                if entry == NULL or self._is_behind(entry):
                    break
                self._eat(table, entry)
            ended = table.flush()
            self.flushed = mark
            return ended
        entry = ps_next(self.source)
        while entry == NULL:
            timeout = self._timeout(table)
            with nogil:
                waited = ps_wait(self.source, timeout)
            self.sleeps_until = -1
            if waited == PS_WAIT_ENDED or self.closing:
                return None
            if waited == PS_WAIT_TIMEOUT:
                return table.pass_time(_now() - SETTLE)
            if waited == PS_WAIT_KICKED:
                PyErr_CheckSignals()
                return table.take()
            entry = ps_next(self.source)
        try:
            while entry != NULL:
                while ahead < n + 4:
                    following = ps_ahead(self.source, &cursor)
                    if following == NULL:
                        ahead = n + 1
                        break
                    table.expect(following.dec.hash)
                    ahead += 1
                if self._is_behind(entry):
                    break
                self.eaten += 1
                self.folded += entry.dec.more_packets
                self.at_work = entry.ts
                table.process(<const uint8_t *>(entry + 1), entry.caplen, entry.wire_len, entry.dlt, entry.ts, &entry.dec)
                n += 1
                if self.closing or self._is_enough():
                    break
                if not n & 63:
                    ps_release(self.source)
                    if n >= BATCH or self._flush_due():
                        break
                entry = ps_next(self.source)
        finally:
            ps_release(self.source)
        return table.take()

    cdef inline bint _is_behind(self, const ps_entry *entry) noexcept:
        """Whether this packet, which comes next, is too late to be wanted."""
        if self.first < 0:
            self.first = max(entry.ts, 0)
            if self.span >= 0 and self.until < 0:
                self.until = self.first + self.span
        if self.until >= 0 and entry.ts > self.until:
            self.reached = True
        elif entry.ts > self.latest:
            self.latest = entry.ts
        return self.reached

    cdef inline bint _is_enough(self) noexcept:
        """Whether no more packets are wanted, without waiting for the next."""
        if self.eaten + self.folded >= self.most:
            self.reached = True
        return self.reached

    def limit(self, packets=None, seconds=None, since=None):
        """Before :meth:`feed` is called: it takes so many packets at most, and none from the first one on that is later
        than so many seconds after the first, or after ``since`` (ns since 1970)."""
        if packets is not None:
            self.most = min(packets, UINT64_MAX)
            self.reached = packets == 0
        if seconds is not None:
            self.span = <int64_t>(seconds * 1e9)
            if since is not None:
                self.until = since + self.span

    cdef bint _flush_due(self):
        return self.flushed != self.flush_asked and ps_marks_reached(self.source) != self.flushed

    cdef uint64_t _put(self):
        cdef ps_counts_t counts
        ps_counts(self.source, &counts)
        return counts.read - counts.dropped_ring - counts.absorbed

    cdef int _eat(self, FlowTable table, const ps_entry *entry) except -1:
        self.eaten += 1
        self.folded += entry.dec.more_packets
        self.at_work = entry.ts
        try:
            table.process(<const uint8_t *>(entry + 1), entry.caplen, entry.wire_len, entry.dlt, entry.ts, &entry.dec)
        finally:
            ps_release(self.source)
        return 0

    cdef int64_t _timeout(self, FlowTable table):
        """How long to wait for a packet before the next flow ends without one, ns; -1 for ever. On a live interface
        the packet clock is the wall clock; a file's clock stands still between packets."""
        cdef int64_t when = table.deadline() if self.follows_clock else -1
        if when < 0:
            self.sleeps_until = INT64_MAX
            return -1
        self.sleeps_until = when
        when = when + SETTLE - _now()
        return when if when > 0 else 0

    def let_go(self, FlowTable table not None):
        """When :meth:`feed` has returned None: the fragments that wait for others go to the table as they are. Returns
        the records of flows that ended, None if no fragments wait, and where a limit was reached."""
        if self.fragments is None or self.reached:
            return None
        if not self.ended and (self.source == NULL or ps_wait(self.source, 0) != PS_WAIT_ENDED):
            return None
        return self.fragments.end(table) if self.fragments.counts()["held"] else None

    def link(self):
        """The link type of a live source's packets: a LINKTYPE_ of pcapng. None when it is closed."""
        if self.source == NULL:
            return None
        found = ps_link(self.source)
        return 101 if found in (12, 14) else found  # raw IP has other numbers in memory than in files

    def tap(self, size_t room):
        """From now on, every packet also goes to the tap that is returned, which ends with this source. Once.

        :param room: octets that may wait to be taken
        """
        cdef Tap tap = Tap.__new__(Tap)
        if self.tapped is not None:
            raise RuntimeError("this source has a tap already")
        tap.tap = ps_tap_open(room, 1000 if self.follows_clock else 1)
        if tap.tap == NULL:
            raise MemoryError
        self.tapped = tap
        if self.source == NULL:
            tap.end()
        else:
            ps_attach(self.source, tap.tap)
        return tap

    def read(self):
        """Waits for the next packet: ``(data, wire_len, linktype, ns since 1970)``; None at the end."""
        self._enter()
        try:
            return self._read()
        finally:
            self._leave()

    cdef object _read(self):
        cdef const ps_entry *entry
        cdef int waited
        cdef object found
        if self.source == NULL or self.closing:
            return None
        entry = ps_next(self.source)
        while entry == NULL:
            with nogil:
                waited = ps_wait(self.source, -1)
            if waited == PS_WAIT_KICKED:
                PyErr_CheckSignals()
            if waited == PS_WAIT_ENDED or self.closing:
                return None
            entry = ps_next(self.source)
        self.eaten += 1
        found = (PyBytes_FromStringAndSize(<const char *>(entry + 1), entry.caplen), entry.wire_len, entry.dlt, entry.ts)
        ps_release(self.source)
        return found

    def end_flow(self, FlowTable table not None, str target not None, int protocol, int dp, int sp, double after=1.0):
        """Any thread: see :meth:`FlowTable.end_flow`. On a live interface, the clock goes on without packets too."""
        cdef int64_t due
        if self.source == NULL:
            return
        if not self.follows_clock:
            table.end_flow(target, protocol, dp, sp, after)
            return
        due = table.end_at(target, protocol, dp, sp, after, _now())
        if due < self.sleeps_until:  # who waits would wait for too long; once told, it is not told again
            self.sleeps_until = due
            ps_kick(self.source)

    def backlog(self):
        """Any thread: seconds since the oldest packet was captured that has not been dealt with; 0.0 where there is none,
        and where packets are not live."""
        cdef int64_t oldest = self.at_work
        if self.source == NULL or not self.follows_clock or (oldest < 0 and not ps_waiting(self.source, &oldest)):
            return 0.0
        return max(0.0, (_now() - oldest) / 1e9)

    def stop(self):
        """Any thread: no more packets than those captured by now. Returns at once."""
        if self.source != NULL:
            ps_stop(self.source)

    def flush(self):
        """Any thread: a :meth:`feed` soon ends every flow, after the packets captured by now.

        :returns: the number of this call: it has been done when :attr:`flushed` is no less
        """
        if self.source != NULL:
            self.flush_asked = ps_mark(self.source)
        return self.flush_asked

    def close(self):
        """Stops and frees the source; its counts stay."""
        self.closing = True
        if not self.used:
            self._free()
        elif self.source != NULL:
            ps_abandon(self.source)

    cdef int _free(self) except -1:
        cdef ps_source *source = self.source
        if source != NULL:
            self.last_counts = self.counts()
            self.last_comments = self.comments()
            self.source = NULL
            with nogil:
                ps_close(source)
            self.ended = True
        return 0

    def counts(self):
        """``read``, ``dropped_kernel``, ``dropped_ring``, ``bytes_waiting``, ``peak`` (of the ring, bytes)."""
        cdef ps_counts_t counts
        if self.source == NULL:
            return self.last_counts
        ps_counts(self.source, &counts)
        return {"read": counts.read, "dropped_kernel": counts.dropped_kernel, "dropped_ring": counts.dropped_ring,
                "bytes_waiting": counts.bytes_waiting, "peak": counts.peak}

    def comments(self):
        """How many comments the file has, as far as it was read, and the first of them: ``(offset, text, cut)``."""
        cdef uint64_t count, i
        cdef const ps_comment_t *one
        if self.source == NULL:
            return self.last_comments
        count = ps_comments(self.source)
        found = []
        for i in range(min(count, <uint64_t>C_COMMENTS)):
            one = ps_comment(self.source, i)
            found.append((one.offset, one.text[:one.length].decode(errors="replace"), one.whole > one.length))
        return count, found

    def error(self):
        """Why the source ended, as :class:`SourceError`; None where it ended as it should."""
        cdef ps_error_t error
        if self.source == NULL:
            return None
        ps_error(self.source, &error)
        return _source_error(&error) if error.why else None


cdef int64_t _now() noexcept:
    cdef timespec now
    clock_gettime(0, &now)
    return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef object _open(int kind, bytes name, int fd, bint wait, bpf, int snaplen, size_t buffer, size_t ring, bint promisc,
                  bint follows_clock, Reassembly fragments, bint decapsulate):
    cdef ps_options options
    cdef ps_error_t error
    cdef ps_source *source
    cdef bytes filter = (bpf or "").encode()
    cdef const char *text = name
    cdef Reader reader = Reader.__new__(Reader)
    options.bpf = filter
    options.snaplen = snaplen
    options.buffer = buffer
    options.ring = ring
    options.promisc = promisc
    options.live = follows_clock
    options.decapsulate = decapsulate
    options.fragments = NULL if fragments is None else fragments.state
    with nogil:
        if kind == 0:
            source = ps_open_live(text, &options, &error)
        elif kind == 1:
            source = ps_open_fd(fd, wait, &options, &error)
        else:
            source = ps_open_libtrace(text, &options, &error)
    if source == NULL:
        raise _source_error(&error)
    reader.source = source
    reader.follows_clock = follows_clock
    reader.fragments = fragments
    return reader


def live(str device, bpf, int snaplen, size_t buffer, size_t ring, bint promisc=True, Reassembly fragments=None,
         bint decapsulate=False):
    """Captures on an interface, with libpcap."""
    return _open(0, device.encode(), -1, False, bpf, snaplen, buffer, ring, promisc, True, fragments, decapsulate)


def descriptor(int fd, bint wait, bpf, int snaplen, size_t ring, Reassembly fragments=None,
                 bint decapsulate=False):
    """Reads a capture from a file descriptor, which it takes over. ``wait``: look at its header now."""
    return _open(1, b"", fd, wait, bpf, snaplen, 0, ring, False, False, fragments, decapsulate)


def libtrace_uri(str uri, bpf, int snaplen, size_t ring, bint follows_clock, Reassembly fragments=None,
                 bint decapsulate=False):
    """Reads packets with libtrace."""
    return _open(2, uri.encode(), -1, False, bpf, snaplen, 0, ring, False, follows_clock, fragments, decapsulate)
