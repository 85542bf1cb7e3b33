# Fragments put together: reassemble.c, as an object that outlives the sources whose reader threads use it.

cdef extern from "reassemble.h" nogil:
    struct ps_reassembly
    struct ps_frame:
        int64_t ts
        const uint8_t *p
        uint32_t caplen
        uint32_t wire_len
        int32_t dlt
    enum: PS_REFUSALS
    struct ps_fragments:
        uint64_t joined
        uint64_t whole
        uint64_t refused[PS_REFUSALS]
        uint64_t held
        uint64_t memory
    enum: PS_F_HELD
    const char *ps_refusal(int reason)
    ps_reassembly *ps_reassembly_new(uint64_t seed, size_t octets, uint32_t packets)
    void ps_reassembly_free(ps_reassembly *r)
    int ps_reassemble(ps_reassembly *r, ps_frame *frame, ps_dec *dec)
    int ps_let_go(ps_reassembly *r, ps_frame *frame, ps_dec *dec)
    void ps_reassembly_end(ps_reassembly *r)
    void ps_reassembly_counts(const ps_reassembly *r, ps_fragments *out)


cdef extern from "unistd.h" nogil:
    int getpid()


cdef class Reassembly:
    """Puts fragments together before a flow table sees them. A source that has one uses it in its reader thread, and so
    may the next when the first has ended; :meth:`feed` is for frames that come from elsewhere.

    :param octets: that fragments may take which wait for others
    :param packets: that may be unfinished at once
    """

    cdef ps_reassembly *state
    cdef int owner

    def __cinit__(self, size_t octets=16 << 20, uint32_t packets=8192):
        self.state = ps_reassembly_new(int.from_bytes(_os.urandom(8), "little"), octets, packets)
        if self.state == NULL:
            raise MemoryError
        self.owner = getpid()

    def __dealloc__(self):
        if self.owner == getpid():  # a reader thread may have been at work on it when a fork copied it
            ps_reassembly_free(self.state)

    def feed(self, FlowTable table not None, bytes data not None, double seconds=0.0, int linktype=1, wire_len=0):
        """One captured frame, as :meth:`FlowTable.feed`; while no source uses this object."""
        cdef ps_frame frame
        cdef ps_dec dec
        cdef int what
        frame.ts = _nanoseconds(seconds)
        frame.p = <const uint8_t *>PyBytes_AS_STRING(data)
        frame.caplen = <uint32_t>len(data)
        frame.wire_len = max(wire_len, len(data))
        frame.dlt = linktype
        ps_decode(frame.p, frame.caplen, frame.wire_len, frame.dlt, &dec)
        what = ps_reassemble(self.state, &frame, &dec)
        self.release(table)
        if what != PS_F_HELD:
            table.look_into(frame.p, frame.caplen, frame.wire_len, frame.dlt, frame.ts, &dec)
        return table.take()

    def end(self, FlowTable table not None):
        """What is incomplete goes on as it is, in the order of arrival of each packet's fragments; while no source uses
        this object."""
        ps_reassembly_end(self.state)
        self.release(table)
        return table.take()

    cdef int release(self, FlowTable table) except -1:
        cdef ps_frame frame
        cdef ps_dec dec
        while ps_let_go(self.state, &frame, &dec):
            table.look_into(frame.p, frame.caplen, frame.wire_len, frame.dlt, frame.ts, &dec)
        return 0

    def counts(self):
        """Any thread: ``joined`` fragments that went into ``whole`` packets, ``held`` ones, which take ``memory`` octets,
        and the packets that were not put together by why not (``refused``)."""
        cdef ps_fragments counts
        ps_reassembly_counts(self.state, &counts)
        return {"joined": counts.joined, "whole": counts.whole, "held": counts.held, "memory": counts.memory,
                "refused": {ps_refusal(reason).decode(): counts.refused[reason]
                            for reason in range(PS_REFUSALS) if counts.refused[reason]}}
