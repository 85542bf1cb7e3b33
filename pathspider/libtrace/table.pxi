# The flow table: packets in, finished flow records out, on the packets' own clock. No threads, no files.

cdef struct Flow:
    Flow *chained       # next in the bucket
    Flow *before        # neighbours in the list of open flows (by last activity), or of complete ones (by due time)
    Flow *after
    PyObject *rec       # the record; NULL: a chain did not want the flow, its packets are ignored
    uint64_t hash
    int64_t active      # table clock at the last packet; for complete flows: when it is due
    int64_t first
    int64_t last
    ps_key key
    uint32_t isn[2]     # initial sequence numbers, by direction of the key
    uint8_t has_isn[2]
    uint8_t forward     # direction of the key that is forward
    uint8_t complete

cdef extern from "Python.h":
    ctypedef struct PyDictObject:
        void *ma_keys

cdef extern from *:
    void __builtin_prefetch(const void *p) nogil

cdef struct List:
    Flow *head
    Flow *tail

cdef struct Hook:
    void *chain         # a chain whose class is compiled: called through its vtable
    void *call          # otherwise a bound method

cdef enum:
    NEW_FLOW, IP4, IP6_, TCP_, UDP_, ICMP4, ICMP6_, HOOKS

HOOK_NAMES = ("new_flow", "ip4", "ip6", "tcp", "udp", "icmp4", "icmp6")

cdef str PKT_FIRST = "pkt_first"
cdef str PKT_LAST = "pkt_last"

cdef enum:
    JUMP = 1000000000  # ns by which the packet clock has to go back to count as set back, not as reordering


cdef inline void _append(List *lst, Flow *flow) noexcept nogil:
    flow.before = lst.tail
    flow.after = NULL
    if lst.tail != NULL:
        lst.tail.after = flow
    else:
        lst.head = flow
    lst.tail = flow


cdef inline void _remove(List *lst, Flow *flow) noexcept nogil:
    if flow.before != NULL:
        flow.before.after = flow.after
    else:
        lst.head = flow.after
    if flow.after != NULL:
        flow.after.before = flow.before
    else:
        lst.tail = flow.before


cdef class ChainBase:
    """What the table calls. Each hook returns True to go on observing, False when the flow is complete.

    A compiled chain is called through this vtable, a plain one as Python methods; hooks that a chain does not define
    are never called. Chains derive from :class:`pathspider.chains.base.Chain`, which derives from this.
    """

    cpdef bint new_flow(self, dict rec, object ip) except -1:
        return True

    cpdef bint ip4(self, dict rec, IP ip, bint rev) except -1:
        return True

    cpdef bint ip6(self, dict rec, IP6 ip, bint rev) except -1:
        return True

    cpdef bint tcp(self, dict rec, TCP tcp, bint rev) except -1:
        return True

    cpdef bint udp(self, dict rec, UDP udp, bint rev) except -1:
        return True

    cpdef bint icmp4(self, dict rec, IP ip, object q, bint rev) except -1:
        return True

    cpdef bint icmp6(self, dict rec, IP6 ip, object q, bint rev) except -1:
        return True


def _definer(cls, name, stop):
    # the class that defines a hook, None where it is inherited from the classes in `stop`
    for base in cls.__mro__:
        if name in base.__dict__:
            return None if base in stop else base
    return None


def is_compiled(cls, name):
    """Whether the hook ``name`` of a chain class is called through the vtable."""
    definer = _definer(cls, name, ())
    return issubclass(cls, ChainBase) and definer is not None and not PyType_GetFlags(definer) & Py_TPFLAGS_HEAPTYPE


def flow_key(bytes data, int linktype=1):
    """What the table makes of a frame: ``(status, key, direction)``; the key is None where there is no flow."""
    cdef ps_dec dec
    ps_decode(<const uint8_t *>PyBytes_AS_STRING(data), <uint32_t>len(data), <uint32_t>len(data), linktype, &dec)
    if dec.status != PS_OK:
        return dec.status, None, 0
    return dec.status, PyBytes_FromStringAndSize(<const char *>&dec.key, sizeof(dec.key)), dec.dir


cdef class Shape:
    """The views of one kind of packet (IP version, transport), used for packet after packet."""

    cdef Buffer buf
    cdef Header network, transport
    cdef int version, proto
    cdef Py_ssize_t refs_buf, refs_network, refs_transport

    cdef int renew(self, const ps_dec *dec) except -1:
        cdef Buffer buf = Buffer.__new__(Buffer)
        buf.dec = dec
        buf.p = NULL
        self.buf = buf
        self.network = IP.__new__(IP) if dec.version == 4 else IP6.__new__(IP6)
        self.transport = _new_transport(buf, False)
        _adopt(self.network, self.network, self.transport, buf)
        if self.transport is not None:
            _adopt(self.transport, self.network, self.transport, buf)
        return 0

    cdef int count(self) except -1:
        # references when only this object and the views among each other hold any
        self.refs_buf = Py_REFCNT(<PyObject *>self.buf)
        self.refs_network = Py_REFCNT(<PyObject *>self.network)
        self.refs_transport = Py_REFCNT(<PyObject *>self.transport) if self.transport is not None else 0
        return 0

    cdef inline bint kept(self) noexcept:
        return (Py_REFCNT(<PyObject *>self.buf) != self.refs_buf
                or Py_REFCNT(<PyObject *>self.network) != self.refs_network
                or (self.refs_transport and Py_REFCNT(<PyObject *>self.transport) != self.refs_transport))


cdef class FlowTable:
    """Divides packets into flows, passes both to the chains, and gives back the records of flows that ended.

    :param chains: instances; hooks are looked up once, here
    :param idle_timeout: seconds of packet time without a packet after which a flow ends
    :param expiry_timeout: seconds of packet time for which a complete flow still takes late packets
    :param max_flows: when so many flows are open, the one that was quiet for longest ends early
    """

    cdef Flow **buckets
    cdef uint64_t mask
    cdef Flow *spare
    cdef Flow *soon[2]
    cdef List open, done
    cdef readonly uint64_t count, max_flows
    cdef readonly uint64_t packets, flows, not_ip, truncated, malformed, evicted, discarded
    cdef int64_t clock, offset, idle, expiry
    cdef bint started
    cdef dict template
    cdef list scratch
    cdef list keep
    cdef Hook *hooks[7]
    cdef int n_hooks[7]
    cdef list names
    cdef int current_hook, current_chain
    cdef list out
    cdef dict shapes
    cdef void *shape_of[512]

    def __cinit__(self):
        cdef int i
        self.mask = 1023
        self.buckets = <Flow **>calloc(self.mask + 1, sizeof(Flow *))
        if self.buckets == NULL:
            raise MemoryError

    def __init__(self, chains=(), double idle_timeout=30, double expiry_timeout=5, uint64_t max_flows=131072):
        if idle_timeout < 0 or expiry_timeout < 0:
            raise ValueError("timeouts are seconds, 0 or more")
        if max_flows < 1:
            raise ValueError("max_flows is at least 1")
        self.idle = <int64_t>(idle_timeout * 1e9)
        self.expiry = <int64_t>(expiry_timeout * 1e9)
        self.max_flows = max_flows
        self.out = []
        self.shapes = {}
        self.keep = []
        self._register(list(chains))

    def _register(self, chains):
        cdef int hook, i
        cdef Hook *table
        self.template = {}
        self.scratch = []
        for chain in chains:
            if isinstance(chain, type):
                raise TypeError(f"{chain.__name__} is a class: the flow table takes instances of chains")
            if not callable(getattr(chain, "new_flow", None)):
                raise TypeError(f"{type(chain).__name__} is no chain: it has no new_flow()")
            initial = getattr(chain, "initial", None)
            if initial is None:  # a chain whose __init__ does not call that of Chain
                initial = {name: field.initial for name, field in getattr(chain, "fields", {}).items()}
            self.template.update(initial)
            self.scratch += getattr(chain, "scratch", ())
        self.template[PKT_FIRST] = self.template[PKT_LAST] = None  # their place; set when the flow ends
        self.keep = [chains]
        self.names = []
        for hook in range(HOOKS):
            name = HOOK_NAMES[hook]
            users = [c for c in chains if self._defines(c, name)]
            table = <Hook *>calloc(len(users) + 1, sizeof(Hook))
            if table == NULL:
                raise MemoryError
            free(self.hooks[hook])
            self.hooks[hook] = table
            self.n_hooks[hook] = len(users)
            self.names.append([f"{type(c).__name__}.{name}" for c in users])
            for i, chain in enumerate(users):
                if is_compiled(type(chain), name):
                    self.keep.append(chain)
                    table[i].chain = <void *>chain
                else:
                    method = getattr(chain, name)
                    self.keep.append(method)
                    table[i].call = <void *>method

    @staticmethod
    def _defines(chain, name):
        # base classes that only say "go on" need not be asked; they are marked so
        stop = [ChainBase, *(c for c in type(chain).__mro__ if c.__dict__.get("absent_hooks"))]
        return _definer(type(chain), name, stop) is not None or name in getattr(chain, "__dict__", {})

    def __dealloc__(self):
        cdef Flow *flow
        cdef Flow *following
        cdef List *lists[2]
        cdef int i
        lists[0] = &self.open
        lists[1] = &self.done
        for i in range(2):
            flow = lists[i].head
            while flow != NULL:
                following = flow.after
                if flow.rec != NULL:
                    Py_DECREF(<object>flow.rec)
                free(flow)
                flow = following
        while self.spare != NULL:
            following = self.spare.after
            free(self.spare)
            self.spare = following
        free(self.buckets)
        for i in range(HOOKS):
            free(self.hooks[i])

    # ---- what the shell and tests call

    def feed(self, bytes data, double seconds=0.0, int linktype=1, wire_len=0):
        """One captured frame; returns the records of the flows that ended by its time."""
        cdef ps_dec dec
        ps_decode(<const uint8_t *>PyBytes_AS_STRING(data), <uint32_t>len(data), max(wire_len, len(data)), linktype, &dec)
        self.process(<const uint8_t *>PyBytes_AS_STRING(data), <uint32_t>len(data), max(wire_len, len(data)), linktype,
                     <int64_t>(seconds * 1e9 + 0.5), &dec)
        return self.take()

    def advance(self, double seconds):
        """The time is ``seconds`` now, without a packet; returns the records of the flows that ended by then."""
        self.tick(<int64_t>(seconds * 1e9))
        return self.take()

    def flush(self, Py_ssize_t limit=0):
        """Ends every flow, or ``limit`` of them; returns the records."""
        while self.done.head != NULL and (limit <= 0 or len(self.out) < limit):
            self.emit(self.done.head)
        while self.open.head != NULL and (limit <= 0 or len(self.out) < limit):
            self.emit(self.open.head)
        return self.take()

    def __len__(self):
        return self.count

    cdef list take(self):
        cdef list out = self.out
        self.out = []
        return out

    # ---- clock

    cdef int64_t tick(self, int64_t raw) except? -1:
        """Moves the table's clock, which starts at 0 and never goes back. Small steps back are reordering; large ones a
        clock that was set, from where we go on counting. A leap that is longer than any timeout counts as just longer:
        it ends the same flows, and no packet can drive the clock to where numbers end. Ends the flows whose time has
        come."""
        cdef int64_t now
        cdef int64_t leap = (self.idle if self.idle > self.expiry else self.expiry) + JUMP
        if not self.started:
            self.started = True
            self.offset = -raw
        now = raw + self.offset
        if now < self.clock:
            if self.clock - now > JUMP:
                self.offset = self.clock - raw
            now = self.clock
        elif now - self.clock > leap:
            now = self.clock + leap
            self.offset = now - raw
        self.clock = now
        while self.done.head != NULL and self.done.head.active <= now:
            self.emit(self.done.head)
        while self.open.head != NULL and self.open.head.active + self.idle <= now:
            self.emit(self.open.head)
        return now

    cdef int64_t deadline(self) noexcept:
        """Table clock at which the next flow ends; -1 without flows."""
        cdef int64_t when = -1
        if self.done.head != NULL:
            when = self.done.head.active
        if self.open.head != NULL and (when < 0 or self.open.head.active + self.idle < when):
            when = self.open.head.active + self.idle
        return when

    # ---- flows

    cdef inline void expect(self, uint64_t hash) noexcept:
        """The hash of a packet that comes soon. What it needs is fetched into the caches in steps, one a packet, since
        each step reads what the one before it fetched: the flow, its record, the record's table. A flow may be another
        one by then, but a record that it points to is always alive."""
        cdef Flow *flow = self.buckets[hash & self.mask]
        cdef Flow *second = self.soon[0]
        cdef Flow *third = self.soon[1]
        cdef char *table
        self.soon[1] = second
        self.soon[0] = flow
        if flow != NULL:
            __builtin_prefetch(flow)
            __builtin_prefetch(<char *>flow + 64)
        if second != NULL and second.rec != NULL:
            __builtin_prefetch(second.rec)
        if third != NULL and third.rec != NULL:
            table = <char *>(<PyDictObject *>third.rec).ma_keys
            __builtin_prefetch(table)
            __builtin_prefetch(table + 64)
            __builtin_prefetch(table + 128)
            __builtin_prefetch(table + 192)
            __builtin_prefetch(table + 256)
            __builtin_prefetch(table + 320)

    cdef inline Flow *find(self, const ps_dec *dec) noexcept:
        cdef Flow *flow = self.buckets[dec.hash & self.mask]
        while flow != NULL:
            if flow.hash == dec.hash and memcmp(&flow.key, &dec.key, sizeof(ps_key)) == 0:
                return flow
            flow = flow.chained
        return NULL

    cdef int grow(self) except -1:
        cdef uint64_t mask = self.mask * 2 + 1, i
        cdef Flow *flow
        cdef Flow *following
        cdef Flow **buckets = <Flow **>calloc(mask + 1, sizeof(Flow *))
        if buckets == NULL:
            raise MemoryError
        for i in range(self.mask + 1):
            flow = self.buckets[i]
            while flow != NULL:
                following = flow.chained
                flow.chained = buckets[flow.hash & mask]
                buckets[flow.hash & mask] = flow
                flow = following
        free(self.buckets)
        self.buckets = buckets
        self.mask = mask
        return 0

    cdef int emit(self, Flow *flow) except -1:
        """Takes the flow out of the table; its record goes to the finished ones."""
        cdef Flow **link = &self.buckets[flow.hash & self.mask]
        cdef dict rec
        while link[0] != flow:
            link = &link[0].chained
        link[0] = flow.chained
        _remove(&self.done if flow.complete else &self.open, flow)
        self.count -= 1
        cdef PyObject *held = flow.rec
        cdef int64_t first = flow.first, last = flow.last
        flow.rec = NULL
        flow.after = self.spare
        self.spare = flow
        if held != NULL:
            rec = <dict>held
            Py_DECREF(rec)
            for key in self.scratch:
                rec.pop(key, None)
            PyDict_SetItem(rec, PKT_FIRST, _seconds(first))
            PyDict_SetItem(rec, PKT_LAST, _seconds(last))
            self.out.append(rec)
        return 0

    cdef Flow *create(self, const ps_dec *dec, int64_t now, int64_t ts) except NULL:
        cdef Flow *flow
        cdef dict rec
        if self.count >= self.max_flows:
            self.evicted += 1
            flow = self.open.head
            if flow == NULL or (self.done.head != NULL and self.done.head.active - self.expiry < flow.active):
                flow = self.done.head
            self.emit(flow)
        if self.count > self.mask:
            self.grow()
        if self.spare != NULL:
            flow = self.spare
            self.spare = flow.after
        else:
            flow = <Flow *>malloc(sizeof(Flow))
            if flow == NULL:
                raise MemoryError
        memset(flow, 0, sizeof(Flow))
        flow.hash = dec.hash
        flow.key = dec.key
        flow.first = ts
        flow.active = now
        # an ICMP error travels in reverse, also when it is the first that we see of the flow
        flow.forward = dec.dir ^ dec.quote
        rec = PyDict_Copy(self.template)
        Py_INCREF(rec)
        flow.rec = <PyObject *>rec
        flow.chained = self.buckets[dec.hash & self.mask]
        self.buckets[dec.hash & self.mask] = flow
        _append(&self.open, flow)
        self.count += 1
        return flow

    # ---- packets

    cdef Shape shape(self, const ps_dec *dec):
        cdef int proto = dec.proto if dec.l4_whole else 0
        cdef int index = proto | (256 if dec.version == 6 else 0)
        cdef Shape shape
        if self.shape_of[index] != NULL:
            return <Shape>self.shape_of[index]
        shape = Shape.__new__(Shape)
        shape.renew(dec)
        shape.count()
        self.shapes[index] = shape
        self.shape_of[index] = <void *>shape
        return shape

    cdef int process(self, const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt, int64_t ts,
                     const ps_dec *dec) except -1:
        cdef Flow *flow
        cdef Shape shape
        cdef int64_t now
        cdef bint fresh = False
        cdef int flags

        self.packets += 1
        now = self.tick(ts)
        if dec.status != PS_OK:
            if dec.status == PS_NOT_IP:
                self.not_ip += 1
            elif dec.status == PS_TRUNCATED:
                self.truncated += 1
            else:
                self.malformed += 1
            return 0
        if not dec.l4_whole and dec.cut and not dec.fragment and (dec.l4 == 0 or ps_fixed_len(dec.proto)):
            self.truncated += 1
        flow = self.find(dec)
        flags = -1
        if dec.l4_whole and dec.proto == P_TCP and not dec.quote:
            flags = p[dec.l4 + 13]
            if flags & 0x17 == 2 and flow != NULL and flow.complete and not (
                    flow.has_isn[dec.dir] and flow.isn[dec.dir] == ps_be32(p + dec.l4 + 4)):
                self.emit(flow)  # the ports are used again
                flow = NULL
        if flow == NULL:
            flow = self.create(dec, now, ts)
            self.flows += 1
            fresh = True
        elif not flow.complete:
            if self.open.tail != flow:
                _remove(&self.open, flow)
                _append(&self.open, flow)
            flow.active = now
        flow.last = ts
        if flags >= 0 and flags & 2 and not flow.has_isn[dec.dir]:
            flow.has_isn[dec.dir] = 1
            flow.isn[dec.dir] = ps_be32(p + dec.l4 + 4)
        if flow.rec == NULL:
            return 0

        shape = self.shape(dec)
        shape.buf.p = p
        shape.buf.caplen = caplen
        shape.buf.wire_len = wire_len
        shape.buf.dlt = dlt
        shape.buf.ts = ts
        shape.buf.dec = dec
        _fill(shape.buf, shape.network, shape.transport)
        try:
            if fresh and not self.begin(shape, flow):
                rec = <object>flow.rec
                Py_DECREF(rec)
                flow.rec = NULL
                self.discarded += 1
            elif not self.dispatch(shape, flow, dec, flow.forward != dec.dir) and not flow.complete:
                _remove(&self.open, flow)
                flow.complete = 1
                flow.active = now + self.expiry
                _append(&self.done, flow)
        except BaseException as error:
            # the traceback holds on to views: their bytes must outlive the ring
            shape.buf.keep()
            shape.renew(shape.buf.dec)
            shape.count()
            if hasattr(error, "add_note"):
                error.add_note(f"in chain hook {self.names[self.current_hook][self.current_chain]}")
            raise
        if shape.kept():
            self.detach(shape)
        return 0

    cdef int detach(self, Shape shape) except -1:
        """Someone kept a view: it gets bytes of its own, and we new views."""
        shape.buf.keep()
        shape.renew(shape.buf.dec)
        shape.count()
        return 0

    cdef bint begin(self, Shape shape, Flow *flow) except -1:
        cdef int i
        cdef Hook *hook
        cdef bint wanted
        cdef dict rec = <dict>flow.rec
        self.current_hook = NEW_FLOW
        for i in range(self.n_hooks[NEW_FLOW]):
            self.current_chain = i
            hook = &self.hooks[NEW_FLOW][i]
            if hook.chain != NULL:
                wanted = (<ChainBase>hook.chain).new_flow(rec, shape.network)
            else:
                wanted = (<object>hook.call)(rec, shape.network)
            if not wanted:
                return False
        return True

    cdef bint dispatch(self, Shape shape, Flow *flow, const ps_dec *dec, bint rev) except -1:
        """The hooks of one packet, in the order of the chains; False when one says that the flow is complete."""
        cdef int i, which
        cdef bint more = True
        cdef Hook *hook
        cdef dict rec = <dict>flow.rec
        cdef object direction = True if rev else False
        cdef object quote

        which = IP4 if dec.version == 4 else IP6_
        self.current_hook = which
        for i in range(self.n_hooks[which]):
            self.current_chain = i
            hook = &self.hooks[which][i]
            if hook.chain == NULL:
                if not (<object>hook.call)(rec, shape.network, direction):
                    more = False
            elif which == IP4:
                more &= (<ChainBase>hook.chain).ip4(rec, <IP>shape.network, rev)
            else:
                more &= (<ChainBase>hook.chain).ip6(rec, <IP6>shape.network, rev)
        if not dec.l4_whole:
            return more
        if dec.proto == P_TCP:
            self.current_hook = TCP_
            for i in range(self.n_hooks[TCP_]):
                self.current_chain = i
                hook = &self.hooks[TCP_][i]
                if hook.chain != NULL:
                    more &= (<ChainBase>hook.chain).tcp(rec, <TCP>shape.transport, rev)
                elif not (<object>hook.call)(rec, shape.transport, direction):
                    more = False
        elif dec.proto == P_UDP:
            self.current_hook = UDP_
            for i in range(self.n_hooks[UDP_]):
                self.current_chain = i
                hook = &self.hooks[UDP_][i]
                if hook.chain != NULL:
                    more &= (<ChainBase>hook.chain).udp(rec, <UDP>shape.transport, rev)
                elif not (<object>hook.call)(rec, shape.transport, direction):
                    more = False
        elif isinstance(shape.transport, ICMPBase):
            which = ICMP4 if dec.version == 4 else ICMP6_
            if self.n_hooks[which] == 0:
                return more
            self.current_hook = which
            quote = None
            if ps_icmp_quotes(dec.version, (<ICMPBase>shape.transport).type):
                quote = (<ICMPBase>shape.transport).get_quote()
            for i in range(self.n_hooks[which]):
                self.current_chain = i
                hook = &self.hooks[which][i]
                if hook.chain == NULL:
                    if not (<object>hook.call)(rec, shape.network, quote, direction):
                        more = False
                elif which == ICMP4:
                    more &= (<ChainBase>hook.chain).icmp4(rec, <IP>shape.network, quote, rev)
                else:
                    more &= (<ChainBase>hook.chain).icmp6(rec, <IP6>shape.network, quote, rev)
        return more
