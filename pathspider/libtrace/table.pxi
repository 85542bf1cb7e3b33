# The flow table: packets in, finished flow records out, on the packets' own clock. No threads, no files.

cdef struct Flow:
    Flow *chained       # next in the bucket
    Flow *before        # neighbours in the list of open flows (by last activity), or of complete ones (by due time)
    Flow *after
    PyObject *rec       # the record: a Record, or a dict where the table has no layout; NULL: a chain did not want the
                        # flow, its packets are ignored
    uint64_t hash
    int64_t active      # table clock at the last packet; for complete flows: when it is due
    int64_t first
    int64_t last
    ps_key key
    uint32_t isn[2]     # initial sequence numbers, by direction of the key
    uint8_t has_isn[2]
    uint8_t forward     # direction of the key that is forward
    uint8_t complete
    uint64_t enough[2]  # hooks for TCP, a bit for each, that need no more data, from lo and from hi
    uint64_t looks      # what packets looked like since the last SYN: a bit for each, see FlowTable.kinds()
    uint64_t counted[4] # packets from lo and from hi, octets from lo and from hi
    uint32_t largest[2] # octets of the largest packet from lo and from hi
    uint32_t data_seq   # of the first data that went forward behind the handshake,
    uint32_t data_len   # and how many they are; 0: there were none so far
    uint8_t answered    # what acknowledges them has come back
    uint8_t opened      # by direction of the key, a bit each: a segment or datagram went there
    # What only ends need (below): behind the cache lines that each packet looks at.
    Flow *beside        # next in the bucket of flows by their target
    uint64_t end_hash
    int64_t began       # table clock at the first packet
    PyObject *packets   # its Packets; NULL: none are held

cdef struct End:
    # A flow that is to end, seen from this host: `lo` of the key is the target, `hi` is left open.
    int64_t due         # table clock; before the table has taken it in: nanoseconds since 1970
    int64_t called      # flows that began later are not meant
    uint64_t hash
    ps_key key

cdef struct Ends:
    End *at
    size_t count, room

cdef extern from *:
    void __builtin_prefetch(const void *p) nogil

cdef struct List:
    Flow *head
    Flow *tail

cdef struct Hook:
    void *chain         # a chain whose class is compiled: called through its vtable
    void *call          # otherwise a bound method
    int wants           # packets it must see: WANTS_*
    uint64_t bit        # that says in Flow.enough that it needs no more data; 0: it always needs all

cdef enum:              # as pathspider.chains.wanted has them
    WANTS_ALL = 1
    WANTS_SYN = 2
    WANTS_END = 4
    WANTS_DATA = 8
    WANTS_NOVEL = 16
    WANTS_FIRST = 32
    WANTS_ANSWER = 64
    WANTS_ECE = 128
    WANTS_OPENING = 256
    WANTS_NOVEL_DATA = 512
    ANY_KIND = 1023

cdef enum:
    NEW_FLOW, IP4, IP6_, TCP_, UDP_, ICMP4, ICMP6_, HOOKS

HOOK_NAMES = ("new_flow", "ip4", "ip6", "tcp", "udp", "icmp4", "icmp6")

cdef str PKT_FIRST = "pkt_first"
cdef str PKT_LAST = "pkt_last"
cdef str PACKETS = "_packets"
cdef int PKT_FIRST_AT = place(PKT_FIRST)
cdef int PKT_LAST_AT = place(PKT_LAST)

cdef extern from *:
    """
    #define TIMEOUT_LIMIT 1000000000.0            /* seconds: 31 years */
    #define LATEST 8000000000000000000LL          /* ns since 1970, in the year 2223: later packet times count as this */
    #define CLOCK_LIMIT 4000000000000000000LL     /* table clock at which it is set back, and all that refers to it */
    """
    double TIMEOUT_LIMIT
    int64_t LATEST
    int64_t CLOCK_LIMIT

cdef extern from "arpa/inet.h":
    int inet_pton(int family, const char *text, void *out)

cdef enum:
    JUMP = 1000000000  # ns by which the packet clock has to go back to count as set back, not as reordering

cdef enum:
    NEW, READY, BUSY   # states of a table


cdef int64_t _nanoseconds(double seconds) except? -1:
    if not -9e9 <= seconds <= 9e9:
        raise ValueError("times are seconds since 1970")
    return <int64_t>(seconds * 1e9 + 0.5)


# Ends are an array, ordered as a binary heap by due time (or not at all, until the table takes them in). Under the
# interpreter's lock, and nothing here gives it away: that is what makes them safe to add from any thread.

cdef int _add_end(Ends *ends, const End *end) except -1:
    cdef size_t room = ends.room * 2 if ends.room else 64
    cdef End *at
    if ends.count == ends.room:
        at = <End *>realloc(ends.at, room * sizeof(End))
        if at == NULL:
            raise MemoryError
        ends.at = at
        ends.room = room
    ends.at[ends.count] = end[0]
    ends.count += 1
    return 0


cdef int _push_end(Ends *ends, const End *end) except -1:
    cdef End moved = end[0]
    cdef size_t place = ends.count, parent
    _add_end(ends, end)
    while place > 0:
        parent = (place - 1) // 2
        if ends.at[parent].due <= moved.due:
            break
        ends.at[place] = ends.at[parent]
        place = parent
    ends.at[place] = moved
    return 0


cdef End _pop_end(Ends *ends) noexcept:
    cdef End first = ends.at[0]
    cdef End last
    cdef size_t place = 0, child
    ends.count -= 1
    last = ends.at[ends.count]
    while True:
        child = place * 2 + 1
        if child >= ends.count:
            break
        if child + 1 < ends.count and ends.at[child + 1].due < ends.at[child].due:
            child += 1
        if last.due <= ends.at[child].due:
            break
        ends.at[place] = ends.at[child]
        place = child
    ends.at[place] = last
    return first


cdef int _end_of(End *end, str target, int protocol, int dp, int sp, double after) except -1:
    """Fills in whom an end means; ``due`` is how much later it is."""
    cdef bytes text = target.encode()
    if not (0 <= protocol <= 255 and 0 <= dp <= 65535 and 0 <= sp <= 65535):
        raise ValueError(f"no such protocol or port: {protocol}, {dp}, {sp}")
    if not 0 <= after <= TIMEOUT_LIMIT:
        raise ValueError(f"{after} is no number of seconds")
    memset(end, 0, sizeof(End))
    end.key.version = 6 if b":" in text else 4
    if inet_pton(_socket.AF_INET6 if end.key.version == 6 else _socket.AF_INET, text, &end.key.lo) != 1:
        raise ValueError(f"not an IP address: {target!r}")
    end.key.proto = <uint8_t>protocol
    end.key.has_ports = 1
    end.key.lo_port[0], end.key.lo_port[1] = <uint8_t>(dp >> 8), <uint8_t>(dp & 255)
    end.key.hi_port[0], end.key.hi_port[1] = <uint8_t>(sp >> 8), <uint8_t>(sp & 255)
    end.hash = ps_hash(&end.key)
    end.due = <int64_t>(after * 1e9)
    return 0


cdef void _end_key(const Flow *flow, ps_key *key) noexcept:
    """How an end would name the flow: by the endpoint that its first packet went to."""
    memset(key, 0, sizeof(ps_key))
    key.version = flow.key.version
    key.proto = flow.key.proto
    key.has_ports = flow.key.has_ports
    if flow.forward:
        memcpy(key.lo, flow.key.lo, sizeof(key.lo))
        memcpy(key.lo_port, flow.key.lo_port, 2)
        memcpy(key.hi_port, flow.key.hi_port, 2)
    else:
        memcpy(key.lo, flow.key.hi, sizeof(key.lo))
        memcpy(key.lo_port, flow.key.hi_port, 2)
        memcpy(key.hi_port, flow.key.lo_port, 2)


cdef int _drop_private(dict rec) except -1:
    """Takes out the keys that begin with "_", which chains use among themselves."""
    cdef PyObject *key
    cdef Py_ssize_t place = 0
    cdef list found = None
    while PyDict_Next(rec, &place, &key, NULL):
        if (PyUnicode_CheckExact(<object>key) and PyUnicode_GET_LENGTH(<object>key)
                and PyUnicode_READ_CHAR(<object>key, 0) == c"_"):
            if found is None:
                found = []
            found.append(<object>key)
    if found is not None:
        for name in found:
            rec.pop(name, None)  # what goes may have a destructor, which may take out others
    return 0


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

    cpdef bint new_flow(self, object rec, object ip) except -1:
        return True

    cpdef bint ip4(self, object rec, IP ip, bint rev) except -1:
        return True

    cpdef bint ip6(self, object rec, IP6 ip, bint rev) except -1:
        return True

    cpdef bint tcp(self, object rec, TCP tcp, bint rev) except -1:
        return True

    cpdef bint udp(self, object rec, UDP udp, bint rev) except -1:
        return True

    cpdef bint icmp4(self, object rec, IP ip, object q, bint rev) except -1:
        return True

    cpdef bint icmp6(self, object rec, IP6 ip, object q, bint rev) except -1:
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
    return (issubclass(cls, ChainBase) and definer is not None
            and not PyType_GetFlags(<PyTypeObject *>definer) & Py_TPFLAGS_HEAPTYPE)


def flow_key(bytes data, int linktype=1, bint decapsulate=False):
    """What the table makes of a frame: ``(status, key, direction)``; the key is None where there is no flow."""
    cdef ps_dec dec
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef uint32_t length = <uint32_t>len(data)
    ps_decode(p, length, length, linktype, &dec)
    if decapsulate:
        ps_decapsulate(p, length, length, linktype, &dec, NULL)
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
    :param store: holds the first packets of each flow: records have them as ``_packets``
    :param active_timeout: seconds of packet time after which a flow that goes on ends, and its next packet begins a new
        one: with its next forward packet, so that forward remains forward, or any after twice that time; 0: never
    :param decapsulate: flows are those inside of tunnels, which records name; a source has to be told as well
    :param outer: records have VLAN ids and MPLS labels

    One thread at a time may use a table, and none from within a hook of its chains: that raises ``RuntimeError``.
    :meth:`end_flow` and the counts are for any thread, at any time.
    """

    cdef Flow **buckets
    cdef Flow **targets     # by target, as many buckets; NULL until somebody asks for a flow's end
    cdef Ends asked, ends   # asked for by wall clock and not yet on the table's; on the table's clock, a heap
    cdef int state
    cdef uint64_t mask
    cdef Flow *spare
    cdef Flow *soon[2]
    cdef List open, done
    cdef PacketStore store
    cdef Encapsulation around  # None: records have nothing of what packets are in
    cdef readonly uint64_t count, max_flows
    cdef readonly uint64_t packets, flows, not_ip, truncated, malformed, evicted, discarded, turned_back
    cdef uint64_t by_reason[PS_REASONS]
    cdef dict new_links
    cdef int64_t clock, raw, idle, expiry, active   # raw: the packet time that `clock` stands for
    cdef bint started
    cdef Layout layout      # of records, where all chains are compiled ones of ours, which declare all that they note
    cdef dict template      # otherwise: what records, which are dicts, begin with
    cdef list scratch
    cdef public bint compact
    """Whether finished records are given as they are held, each a :class:`Record` where there is a layout, not a dict."""
    cdef list keep
    cdef Hook *hooks[7]
    cdef int n_hooks[7]
    cdef int wanted[7]      # by any hook of a kind
    cdef uint64_t data_hooks  # hooks for TCP that want data, a bit for each
    cdef list counts        # places of what flows count, for each chain that has such
    cdef list largest       # and of the octets of largest packets
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

    def __init__(self, chains=(), double idle_timeout=30, double expiry_timeout=5, uint64_t max_flows=131072,
                 PacketStore store=None, double active_timeout=0, bint decapsulate=False, bint outer=False):
        if self.keep is not None:  # hooks would be freed that may be running
            raise RuntimeError("a flow table is set up once: make a new one")
        self.keep = []
        if not (0 <= idle_timeout <= TIMEOUT_LIMIT and 0 <= expiry_timeout <= TIMEOUT_LIMIT
                and 0 <= active_timeout <= TIMEOUT_LIMIT):
            raise ValueError(f"timeouts are seconds, 0 to {TIMEOUT_LIMIT:.0f}")
        if max_flows < 1:
            raise ValueError("max_flows is at least 1")
        self.idle = <int64_t>(idle_timeout * 1e9)
        self.expiry = <int64_t>(expiry_timeout * 1e9)
        self.active = max(1, <int64_t>(active_timeout * 1e9)) if active_timeout > 0 else 0  # 0: never
        self.max_flows = max_flows
        self.store = store
        if decapsulate or outer:
            self.around = Encapsulation(decapsulate, outer)
        self.out = []
        self.shapes = {}
        self.register(list(chains))
        self.state = READY

    cdef int register(self, list chains) except -1:
        cdef int hook, i
        cdef Hook *table
        cdef bint foreign = False
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
            foreign |= not type(chain).__module__.startswith("pathspider.libtrace.compiled.")
        if self.around is not None:
            self.template.update(dict.fromkeys(self.around.fields))  # their place; set when the flow begins
        self.template[PKT_FIRST] = self.template[PKT_LAST] = None  # their place; set when the flow ends
        self.scratch = list(dict.fromkeys(self.scratch))
        if not foreign:
            self.layout = Layout(self.template, self.scratch)
        counting = [] if foreign else [chain for chain in chains if chain.counts or chain.largest]
        self.counts = [place(name) for chain in counting for name in chain.counts]
        self.largest = [place(name) for chain in counting for name in chain.largest]
        self.keep.append(chains)
        self.names = []
        for hook in range(HOOKS):
            name = HOOK_NAMES[hook]
            users = [c for c in chains if self._defines(c, name) and not (hook in (IP4, IP6_) and c in counting)]
            table = <Hook *>calloc(len(users) + 1, sizeof(Hook))
            if table == NULL:
                raise MemoryError
            self.hooks[hook] = table
            self.n_hooks[hook] = len(users)
            self.names.append([f"{type(c).__name__}.{name}" for c in users])
            for i, chain in enumerate(users):
                if is_compiled(type(chain), name):
                    self.keep.append(chain)
                    table[i].chain = <void *>chain
                    table[i].wants = getattr(chain, "wants", WANTS_ALL)
                else:
                    method = getattr(chain, name)
                    self.keep.append(method)
                    table[i].call = <void *>method
                    table[i].wants = WANTS_ALL
                self.wanted[hook] |= table[i].wants
                if hook == TCP_ and table[i].wants & WANTS_DATA and not table[i].wants & WANTS_ALL:
                    table[i].bit = <uint64_t>1 << i if i < 63 else 0
                    self.data_hooks |= <uint64_t>1 << min(i, 63)
        return 0

    def judge(self, left_out):
        """Before any packet, where finished records are given as they are held: they show ``path`` as their last field,
        and not the fields of these names. False where records are dicts; then nothing changes."""
        if self.layout is None or not self.compact:
            return False
        if self.count or self.flows:
            raise RuntimeError("flows have begun")
        self.layout = Layout({**self.template, "path": None}, [*self.scratch, *left_out])
        return True

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
                Py_XDECREF(flow.rec)
                Py_XDECREF(flow.packets)
                free(flow)
                flow = following
        while self.spare != NULL:
            following = self.spare.after
            free(self.spare)
            self.spare = following
        free(self.buckets)
        free(self.targets)
        free(self.asked.at)
        free(self.ends.at)
        for i in range(HOOKS):
            free(self.hooks[i])

    # ---- what the shell and tests call

    cdef int enter(self) except -1:
        """To be called before anything that Python code can run in, such as hooks: what they would change, we hold."""
        if self.state == NEW:
            raise RuntimeError("this flow table was not set up: __init__ did not run to its end")
        if self.state == BUSY:
            raise RuntimeError("this flow table is at work: it cannot be used within a hook of its chains, nor by two "
                               "threads at once")
        self.state = BUSY
        return 0

    def feed(self, bytes data not None, double seconds=0.0, int linktype=1, wire_len=0):
        """One captured frame; returns the records of the flows that ended by its time."""
        cdef ps_dec dec
        cdef int64_t ts = _nanoseconds(seconds)
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
        cdef uint32_t length = <uint32_t>len(data), wire = max(wire_len, len(data))
        ps_decode(p, length, wire, linktype, &dec)
        self.look_into(p, length, wire, linktype, ts, &dec)
        return self.take()

    cdef int look_into(self, const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt, int64_t ts,
                       ps_dec *dec) except -1:
        """Processes a packet that was decoded, but not looked into."""
        if self.around is not None and self.around.decapsulate:
            ps_decapsulate(p, caplen, wire_len, dlt, dec, NULL)
        return self.process(p, caplen, wire_len, dlt, ts, dec)

    def advance(self, double seconds):
        """The time is ``seconds`` now, without a packet; returns the records of the flows that ended by then."""
        return self.pass_time(_nanoseconds(seconds))

    cdef list pass_time(self, int64_t raw):
        self.enter()
        try:
            self.tick(raw)
        finally:
            self.state = READY
        return self.take()

    def flush(self, Py_ssize_t limit=0):
        """Ends every flow, or ``limit`` of them; returns the records."""
        self.enter()
        try:
            while self.done.head != NULL and (limit <= 0 or len(self.out) < limit):
                self.emit(self.done.head)
            while self.open.head != NULL and (limit <= 0 or len(self.out) < limit):
                self.emit(self.open.head)
        finally:
            self.state = READY
        return self.take()

    def end_flow(self, str target not None, int protocol, int dp, int sp, double after=1.0):
        """Any thread: the flow from this host's port ``sp`` to ``target``'s port ``dp`` ends when the clock has gone on
        by ``after`` seconds, if it has not ended by then. A flow that begins from now on is not meant."""
        cdef End end
        _end_of(&end, target, protocol, dp, sp, after)
        end.called = self.clock if self.started else -1
        end.due += self.clock
        self.find_by_target()
        _push_end(&self.ends, &end)

    cdef int64_t end_at(self, str target, int protocol, int dp, int sp, double after, int64_t now) except? -1:
        """As :meth:`end_flow`, where the wall clock is the packets' clock, and ours can be behind it; ``now`` and the
        result, when the flow is due, are nanoseconds since 1970. Times are translated when our clock has got there:
        only then it is known what they are on it."""
        cdef End end
        _end_of(&end, target, protocol, dp, sp, after)
        end.called = now
        end.due += now
        self.find_by_target()
        _add_end(&self.asked, &end)
        return end.due

    def __len__(self):
        return self.count

    @property
    def reasons(self):
        """What was wrong with malformed packets, in words, and with how many."""
        return {ps_reason(reason).decode(): self.by_reason[reason]
                for reason in range(PS_R_NEW_LINK + 1, PS_REASONS) if self.by_reason[reason]}

    @property
    def unknown_links(self):
        """Link types that we do not know, by number, and how many packets had them; among those that are not IP."""
        return dict(self.new_links or {})

    cdef list take(self):
        cdef list out = self.out
        self.out = []
        return out

    # ---- clock

    cdef int64_t tick(self, int64_t raw) except? -1:
        """Moves the table's clock, which starts at 0 and never goes back. Small steps back are reordering; large ones a
        clock that was set, from where we go on counting. A leap that is longer than any timeout counts as just longer:
        it ends the same flows. Ends the flows whose time has come."""
        cdef int64_t leap = (self.idle if self.idle > self.expiry else self.expiry) + JUMP
        cdef int64_t step, now
        raw = 0 if raw < 0 else LATEST if raw > LATEST else raw  # so that no difference can overflow
        if not self.started:
            self.started = True
            self.raw = raw
        step = raw - self.raw
        if step >= 0 or step < -JUMP:
            self.raw = raw
            self.turned_back += step < 0
            if step > 0:
                self.clock += step if step < leap else leap
                if self.clock > CLOCK_LIMIT:
                    self.set_back()
        now = self.clock
        if self.asked.count:
            self.take_in()
        while self.done.head != NULL and self.done.head.active <= now:
            self.emit(self.done.head)
        while self.open.head != NULL and self.open.head.active + self.idle <= now:
            self.emit(self.open.head)
        while self.ends.count and self.ends.at[0].due <= now:
            self.end(_pop_end(&self.ends))
        return now

    cdef void set_back(self) noexcept:
        """The clock begins at 0 again, and all that refers to it with it: after 127 years, or after some hundred million
        packets with hostile times, it would come to where numbers end."""
        cdef int64_t by = self.clock
        cdef List *lists[2]
        cdef Flow *flow
        cdef size_t i
        lists[0] = &self.open
        lists[1] = &self.done
        for i in range(2):
            flow = lists[i].head
            while flow != NULL:
                flow.active -= by
                flow.began = max(flow.began - by, -CLOCK_LIMIT)
                flow = flow.after
        for i in range(self.ends.count):
            self.ends.at[i].due -= by
            self.ends.at[i].called = max(self.ends.at[i].called - by, -CLOCK_LIMIT)
        self.clock = 0

    cdef int64_t deadline(self) noexcept:
        """Packet time at which the next flow ends; -1 without flows."""
        cdef int64_t when = -1
        cdef size_t i
        if self.done.head != NULL:
            when = self.done.head.active
        if self.open.head != NULL and (when < 0 or self.open.head.active + self.idle < when):
            when = self.open.head.active + self.idle
        if self.ends.count and (when < 0 or self.ends.at[0].due < when):
            when = self.ends.at[0].due
        if when >= 0:
            when = self.raw + (when - self.clock)
        for i in range(self.asked.count):
            if when < 0 or self.asked.at[i].due < when:
                when = self.asked.at[i].due
        return when

    # ---- ends that were asked for

    cdef int find_by_target(self) except -1:
        """From now on, flows are found by their target. Who never asks for a flow's end does not pay for it."""
        cdef List *lists[2]
        cdef Flow *flow
        cdef int i
        if self.targets != NULL:
            return 0
        self.targets = <Flow **>calloc(self.mask + 1, sizeof(Flow *))
        if self.targets == NULL:
            raise MemoryError
        lists[0] = &self.open
        lists[1] = &self.done
        for i in range(2):
            flow = lists[i].head
            while flow != NULL:
                self.list_target(flow)
                flow = flow.after
        return 0

    cdef void list_target(self, Flow *flow) noexcept:
        cdef ps_key key
        _end_key(flow, &key)
        flow.end_hash = ps_hash(&key)
        flow.beside = self.targets[flow.end_hash & self.mask]
        self.targets[flow.end_hash & self.mask] = flow

    cdef int take_in(self) except -1:
        """What was asked for by wall clock comes on the table's clock, which has just been moved."""
        cdef size_t i
        cdef End end
        for i in range(self.asked.count):
            end = self.asked.at[i]
            end.due += self.clock - self.raw
            end.called += self.clock - self.raw
            _push_end(&self.ends, &end)
        self.asked.count = 0
        return 0

    cdef int end(self, End end) except -1:
        """Its time has come: ends the flow, if it is still there; of two from different addresses of this host the older
        one."""
        cdef ps_key key
        cdef Flow *oldest = NULL
        cdef Flow *flow = self.targets[end.hash & self.mask]
        while flow != NULL:
            if flow.end_hash == end.hash and flow.began <= end.called and (oldest == NULL or flow.began < oldest.began):
                _end_key(flow, &key)
                if memcmp(&key, &end.key, sizeof(ps_key)) == 0:
                    oldest = flow
            flow = flow.beside
        if oldest != NULL:
            self.emit(oldest)
        return 0

    # ---- flows

    cdef inline void expect(self, uint64_t hash) noexcept:
        """The hash of a packet that comes soon. What it needs is fetched into the caches in steps, one a packet, since
        each step reads what the one before it fetched: the flow, its record, the record's values. A flow may be another
        one by then, but a record that it points to is always alive."""
        cdef Flow *flow = self.buckets[hash & self.mask]
        cdef Flow *second = self.soon[0]
        cdef Flow *third = self.soon[1]
        cdef char *values
        self.soon[1] = second
        self.soon[0] = flow
        if flow != NULL:
            __builtin_prefetch(flow)
            __builtin_prefetch(<char *>flow + 64)
        if second != NULL and second.rec != NULL:
            __builtin_prefetch(second.rec)
        if third != NULL and third.rec != NULL and self.layout is not None:
            values = <char *>(<Record>third.rec).at
            __builtin_prefetch(values)
            __builtin_prefetch(values + 64)
            __builtin_prefetch(values + 128)
            __builtin_prefetch(values + 192)

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
        cdef Flow **targets = NULL
        if self.targets != NULL:
            targets = <Flow **>calloc(mask + 1, sizeof(Flow *))
        if buckets == NULL or (targets == NULL and self.targets != NULL):
            free(buckets)
            raise MemoryError
        for i in range(self.mask + 1):
            flow = self.buckets[i]
            while flow != NULL:
                following = flow.chained
                flow.chained = buckets[flow.hash & mask]
                buckets[flow.hash & mask] = flow
                if targets != NULL:
                    flow.beside = targets[flow.end_hash & mask]
                    targets[flow.end_hash & mask] = flow
                flow = following
        free(self.buckets)
        free(self.targets)
        self.buckets = buckets
        self.targets = targets
        self.mask = mask
        return 0

    cdef int emit(self, Flow *flow) except -1:
        """Takes the flow out of the table; its record goes to the finished ones."""
        cdef Flow **link = &self.buckets[flow.hash & self.mask]
        while link[0] != flow:
            link = &link[0].chained
        link[0] = flow.chained
        if self.targets != NULL:
            link = &self.targets[flow.end_hash & self.mask]
            while link[0] != flow:
                link = &link[0].beside
            link[0] = flow.beside
        _remove(&self.done if flow.complete else &self.open, flow)
        self.count -= 1
        cdef PyObject *held = flow.rec
        cdef double first = _seconds(flow.first), last = _seconds(flow.last)
        cdef uint64_t counted[4]
        cdef int i
        cdef uint32_t largest[2]
        for i in range(4):
            counted[i] = flow.counted[i ^ flow.forward]
        largest[0], largest[1] = flow.largest[flow.forward], flow.largest[1 ^ flow.forward]
        packets = self.let_go(flow)
        flow.rec = NULL
        flow.after = self.spare
        self.spare = flow
        if held != NULL:
            rec = <object>held
            Py_DECREF(rec)
            rec = self.finish_dict(rec, first, last) if self.layout is None else self.finish(rec, first, last, counted,
                                                                                                  largest)
            if packets is not None:
                rec[PACKETS] = packets
            self.out.append(rec)
        return 0

    cdef object finish(self, Record rec, double first, double last, const uint64_t *counted, const uint32_t *largest):
        cdef int i = 0
        for at in self.counts:
            if counted[i & 3] < <uint64_t>1 << 62:
                ps_put_slot(rec.at, rec.size, at, ps_int_slot(counted[i & 3]))
            else:
                put(rec, at, counted[i & 3])
            i += 1
        i = 0
        for at in self.largest:
            ps_put_slot(rec.at, rec.size, at, ps_int_slot(largest[i & 1]))
            i += 1
        put(rec, PKT_FIRST_AT, first)
        put(rec, PKT_LAST_AT, last)
        return rec if self.compact and self.store is None else rec.finished()

    cdef dict finish_dict(self, dict rec, double first, double last):
        _drop_private(rec)
        for key in self.scratch:
            rec.pop(key, None)
        PyDict_SetItem(rec, PKT_FIRST, first)
        PyDict_SetItem(rec, PKT_LAST, last)
        return rec

    cdef object let_go(self, Flow *flow):
        """Its packets, which are the caller's from now on; None if none are held."""
        cdef object packets
        if flow.packets == NULL:
            return None
        packets = <object>flow.packets
        Py_DECREF(packets)
        flow.packets = NULL
        return packets

    cdef Flow *create(self, const ps_dec *dec, int64_t now, int64_t ts) except NULL:
        cdef Flow *flow
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
        flow.active = flow.began = now
        # an ICMP error travels in reverse, also when it is the first that we see of the flow
        flow.forward = dec.dir ^ dec.quote
        rec = PyDict_Copy(self.template) if self.layout is None else _new_record(self.layout)
        Py_INCREF(rec)
        flow.rec = <PyObject *>rec
        if self.store is not None:
            packets = _new_packets(self.store)
            Py_INCREF(packets)
            flow.packets = <PyObject *>packets
        flow.chained = self.buckets[dec.hash & self.mask]
        self.buckets[dec.hash & self.mask] = flow
        if self.targets != NULL:
            self.list_target(flow)
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

    cdef inline int kinds(self, Flow *flow, const uint8_t *p, const ps_dec *dec) noexcept:
        """Of which kinds that chains ask for a packet is: ``WANTS_*``, see :class:`pathspider.chains.wanted.Wanted`."""
        cdef const uint8_t *ip = p + dec.l3
        cdef const uint8_t *tcp = p + dec.l4
        cdef int kinds = WANTS_ALL, flags = 0, look
        cdef bint data = True
        if not dec.l4_whole or dec.quote:
            return ANY_KIND
        if dec.proto == P_TCP:
            flags = tcp[13]
            data = dec.l4_len > <uint32_t>(tcp[12] >> 4) * 4
            if flags & 2:
                kinds |= WANTS_SYN
            if flags & 5:
                kinds |= WANTS_END
        elif dec.proto != P_UDP:
            return ANY_KIND
        if not flow.opened >> dec.dir & 1:
            flow.opened |= 1 << dec.dir
            kinds |= WANTS_OPENING
        if data:
            kinds |= WANTS_DATA
        if dec.proto == P_TCP and not flags & 6:
            kinds |= self.first_data(flow, tcp, dec, data)
        if flags & 2:
            flow.looks = 0  # what chains make of later packets may depend on it
            return kinds
        look = dec.dir | data << 1 | (flags & 0x10) >> 2
        look |= (ip[1] & 3) << 3 | (ip[6] >> 7) << 5 if dec.version == 4 else (ip[1] >> 4 & 3) << 3
        if not flow.looks >> look & 1:
            kinds |= WANTS_NOVEL | WANTS_NOVEL_DATA if data else WANTS_NOVEL
            if not flags & 5:  # with FIN or RST it means something else
                flow.looks |= <uint64_t>1 << look
        return kinds

    cdef inline int first_data(self, Flow *flow, const uint8_t *tcp, const ps_dec *dec, bint data) noexcept:
        """Whether a segment, no SYN nor RST, is the first with data that goes forward, or its answer."""
        cdef int kinds = 0
        if flow.forward == dec.dir:
            if data:
                if not flow.data_len:
                    flow.data_seq = ps_be32(tcp + 4)
                    flow.data_len = dec.l4_len - <uint32_t>(tcp[12] >> 4) * 4
                    return WANTS_FIRST
                if flow.data_seq == ps_be32(tcp + 4):
                    return WANTS_FIRST
        elif flow.data_len:
            if not flow.answered and ps_be32(tcp + 8) - flow.data_seq - flow.data_len < <uint32_t>1 << 31:
                flow.answered = 1
                kinds = WANTS_ANSWER
            if tcp[13] & 0x40:
                kinds |= WANTS_ECE
        return kinds

    cdef inline int wanted_of(self, const Flow *flow, const ps_dec *dec) noexcept:
        """The kinds of packets that hooks want which this one would be shown to."""
        cdef int wanted = self.wanted[IP4 if dec.version == 4 else IP6_]
        if not dec.l4_whole:
            return wanted
        if dec.proto == P_TCP:
            return wanted | (self.wanted[TCP_] if self.data_hooks & ~flow.enough[dec.dir]
                             else self.wanted[TCP_] & ~WANTS_DATA)
        if dec.proto == P_UDP:
            return wanted | self.wanted[UDP_]
        return wanted | self.wanted[ICMP4] | self.wanted[ICMP6_]

    cdef int process(self, const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt, int64_t ts,
                     const ps_dec *dec) except -1:
        """One packet, decoded already; its bytes are only looked at until this returns."""
        self.enter()
        try:
            return self.sort(p, caplen, wire_len, dlt, ts, dec)
        finally:
            self.state = READY

    cdef int sort(self, const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt, int64_t ts,
                  const ps_dec *dec) except -1:
        cdef Flow *flow
        cdef Shape shape
        cdef int64_t now
        cdef bint fresh = False
        cdef int flags, kinds

        self.packets += 1 + dec.more_packets
        now = self.clock if dec.late and self.started else self.tick(ts)
        if dec.status != PS_OK:
            if dec.status == PS_NOT_IP:
                self.not_ip += 1
                if dec.reason == PS_R_NEW_LINK:
                    if self.new_links is None:
                        self.new_links = {}
                    self.new_links[dlt] = self.new_links.get(dlt, 0) + 1
            elif dec.status == PS_TRUNCATED:
                self.truncated += 1
            else:
                self.malformed += 1
                self.by_reason[dec.reason] += 1
            return 0
        if dec.reason == PS_R_TUNNEL_CUT:
            self.truncated += 1
        elif dec.reason:
            self.malformed += 1
            self.by_reason[dec.reason] += 1
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
        if self.active and flow != NULL and flow.rec != NULL and not flow.complete and now - flow.began >= (
                self.active if flow.forward == dec.dir else 2 * self.active):
            self.emit(flow)
            flow = NULL
        if flow == NULL:
            flow = self.create(dec, now, ts)
            self.flows += 1
            fresh = True
            if self.around is not None:
                self.around.note(<object>flow.rec, p, caplen, wire_len, dlt)
        elif not flow.complete:
            if self.open.tail != flow:
                _remove(&self.open, flow)
                _append(&self.open, flow)
            flow.active = now
        if dec.late:
            flow.first, flow.last = min(flow.first, ts), max(flow.last, ts)
        else:
            flow.last = ts
        if flags >= 0 and flags & 2 and not flow.has_isn[dec.dir]:
            flow.has_isn[dec.dir] = 1
            flow.isn[dec.dir] = ps_be32(p + dec.l4 + 4)
        if flow.rec == NULL:
            return 0

        if flow.packets != NULL:
            self.store.add(&(<Packets>flow.packets).held, p, caplen, wire_len, ts)
        flow.counted[dec.dir] += 1
        flow.counted[2 + dec.dir] += dec.ip_len
        if not dec.tunnelled:
            flow.counted[dec.dir] += dec.more_packets
            flow.counted[2 + dec.dir] += dec.more_octets
        if dec.ip_len > flow.largest[dec.dir] and not dec.quote and (dec.tunnelled or not dec.more_packets):
            flow.largest[dec.dir] = dec.ip_len
        kinds = self.kinds(flow, p, dec)
        if not fresh and not kinds & self.wanted_of(flow, dec):
            return 0
        shape = self.shape(dec)
        shape.buf.p = p
        shape.buf.caplen = caplen
        shape.buf.wire_len = wire_len
        shape.buf.dlt = dlt
        shape.buf.ts = ts
        shape.buf.dec = dec
        _fill(shape.buf, shape.network, shape.transport)
        if flags >= 0:
            (<TCP>shape.transport).bogus = -1
        try:
            if fresh and not self.begin(shape, flow):
                rec = <object>flow.rec
                Py_DECREF(rec)
                flow.rec = NULL
                self.let_go(flow)
                self.discarded += 1
            elif not self.dispatch(shape, flow, dec, kinds, flow.forward != dec.dir) and not flow.complete:
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
        cdef object rec = <object>flow.rec
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

    cdef bint dispatch(self, Shape shape, Flow *flow, const ps_dec *dec, int kinds, bint rev) except -1:
        """The hooks of one packet that want one of its kinds, in the order of the chains; False when one says that the
        flow is complete."""
        cdef int i, which
        cdef bint more = True
        cdef Hook *hook
        cdef object rec = <object>flow.rec
        cdef object direction = True if rev else False
        cdef object quote

        which = IP4 if dec.version == 4 else IP6_
        self.current_hook = which
        for i in range(self.n_hooks[which]):
            self.current_chain = i
            hook = &self.hooks[which][i]
            if not hook.wants & kinds:
                continue
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
                if not hook.wants & kinds:
                    continue
                if flow.enough[dec.dir] & hook.bit and not hook.wants & kinds & ~WANTS_DATA:
                    continue
                if hook.chain != NULL:
                    more &= (<ChainBase>hook.chain).tcp(rec, <TCP>shape.transport, rev)
                    if (<ChainBase>hook.chain).enough:
                        (<ChainBase>hook.chain).enough = False
                        flow.enough[dec.dir] |= hook.bit
                elif not (<object>hook.call)(rec, shape.transport, direction):
                    more = False
        elif dec.proto == P_UDP:
            self.current_hook = UDP_
            for i in range(self.n_hooks[UDP_]):
                self.current_chain = i
                hook = &self.hooks[UDP_][i]
                if not hook.wants & kinds:
                    continue
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
