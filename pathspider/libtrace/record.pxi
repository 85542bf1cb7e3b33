# What chains note of a flow while it is open, where all chains are compiled ones of ours: an array of values in place of
# a dict. A name has its place in every array, which the twins know when they are imported (setup.py): none is looked up.

cdef extern from *:
    int __builtin_ctzll(unsigned long long bits) nogil
    void let_go "Py_DECREF"(PyObject *value)

cdef dict _places = {}
cdef list _names = []


cpdef int place(str name) except -1:
    """Where a field, or a key of a chain's scratch, stands in every :class:`Record`."""
    found = _places.get(name)
    if found is None:
        found = _places[name] = len(_names)
        _names.append(name)
    return found


cdef class Layout:
    """What the records of a flow table have, and with which values they begin.

    :param template: the values by name; records have no other names
    :param scratch: names that finished records have not
    """

    def __cinit__(self, dict template, list scratch):
        cdef int i
        self.template = template  # holds the values; never changed from here on
        self.scratch = dict.fromkeys(scratch)
        self.finished = {name: value for name, value in template.items() if name not in self.scratch}
        places = [place(name) for name in self.finished]
        self.count = len(places)
        self.shown = <int *>calloc(len(places) + 1, sizeof(int))
        self.size = 1 + max((place(name) for name in template), default=0)
        self.words = (self.size + 63) // 64
        self.initial = <ps_slot *>calloc(self.size + self.words, sizeof(ps_slot))
        if self.shown == NULL or self.initial == NULL:
            raise MemoryError
        for i in range(self.count):
            self.shown[i] = places[i]
        for name, value in template.items():
            self.initial[place(name)] = ps_value_slot(<PyObject *>value)

    def __dealloc__(self):
        cdef ps_slot *block
        free(self.shown)
        free(self.initial)
        while self.spare != NULL:
            block = self.spare
            self.spare = <ps_slot *>block[0]
            free(block)


@cython.final
@cython.no_gc
@cython.freelist(1024)
cdef class Record:
    """What is noted of one flow: a mapping with a fixed set of names. Numbers stand in it as they are; objects are its own
    where they are not those of its :class:`Layout`. :func:`json_lines` takes it as it is."""

    def __init__(self):
        raise TypeError("a flow table makes records")

    def __dealloc__(self):
        cdef int i
        cdef ps_slot *block = self.at
        cdef uint64_t owned
        if block == NULL:
            return
        for i in range(self.layout.words):
            owned = block[self.size + i]
            while owned:
                let_go(<PyObject *>block[i * 64 + __builtin_ctzll(owned)])
                owned &= owned - 1
        block[0] = <ps_slot>self.layout.spare
        self.layout.spare = block

    cdef int find(self, name) except -1:
        cdef int at
        found = _places.get(name)
        if found is not None:
            at = found
            if at < self.size and self.layout.initial[at]:
                return at
        raise KeyError(name)

    def __getitem__(self, name):
        return ps_slot_value(self.at[self.find(name)])

    def __setitem__(self, name, value):
        put(self, self.find(name), value)

    def __contains__(self, name):
        return self.layout is not None and name in self.layout.template

    def update(self, values):
        """Sets the values of a mapping."""
        for name, value in values.items():
            self[name] = value

    cdef dict finished(self):
        """The fields, in their order."""
        cdef dict found = PyDict_Copy(self.layout.finished)
        cdef int i, at
        for i in range(self.layout.count):
            at = self.layout.shown[i]
            if self.at[at] != self.layout.initial[at]:
                PyDict_SetItem(found, <object>PyList_GET_ITEM(_names, at), ps_slot_value(self.at[at]))
        return found


cdef Record _new_record(Layout layout):
    cdef Record record = Record.__new__(Record)
    cdef size_t size = (layout.size + layout.words) * sizeof(ps_slot)
    if layout.spare != NULL:
        record.at = layout.spare
        layout.spare = <ps_slot *>record.at[0]
    else:
        record.at = <ps_slot *>malloc(size)
        if record.at == NULL:
            raise MemoryError
    memcpy(record.at, layout.initial, size)
    record.layout = layout
    record.size = layout.size
    return record
