# What chains note of a flow while it is open, where all chains are compiled ones of ours: an array of values in place of
# a dict. A name has its place in every array, which the twins know when they are imported (setup.py): none is looked up.

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
        self.initial = <PyObject **>calloc(self.size, sizeof(PyObject *))
        if self.shown == NULL or self.initial == NULL:
            raise MemoryError
        for i in range(self.count):
            self.shown[i] = places[i]
        for name, value in template.items():
            self.initial[place(name)] = <PyObject *>value

    def __dealloc__(self):
        cdef PyObject **block
        free(self.shown)
        free(self.initial)
        while self.spare != NULL:
            block = self.spare
            self.spare = <PyObject **>block[0]
            free(block)


@cython.final
@cython.no_gc
@cython.freelist(1024)
cdef class Record:
    """What is noted of one flow: a mapping with a fixed set of names. Its values are its own where they are not those
    of its :class:`Layout`. :func:`json_lines` takes it as it is."""

    def __init__(self):
        raise TypeError("a flow table makes records")

    def __dealloc__(self):
        cdef int i
        cdef PyObject *value
        if self.at == NULL:
            return
        for i in range(self.size):
            value = self.at[i]
            if value != self.initial[i]:
                Py_DECREF(<object>value)
        self.at[0] = <PyObject *>self.layout.spare
        self.layout.spare = self.at

    cdef int find(self, name) except -1:
        cdef int at
        found = _places.get(name)
        if found is not None:
            at = found
            if at < self.size and self.initial[at] != NULL:
                return at
        raise KeyError(name)

    def __getitem__(self, name):
        return <object>self.at[self.find(name)]

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
            if self.at[at] != self.initial[at]:
                PyDict_SetItem(found, <object>PyList_GET_ITEM(_names, at), <object>self.at[at])
        return found


cdef Record _new_record(Layout layout):
    cdef Record record = Record.__new__(Record)
    if layout.spare != NULL:
        record.at = layout.spare
        layout.spare = <PyObject **>record.at[0]
    else:
        record.at = <PyObject **>malloc(layout.size * sizeof(PyObject *))
        if record.at == NULL:
            raise MemoryError
    memcpy(record.at, layout.initial, layout.size * sizeof(PyObject *))
    record.layout = layout
    record.initial = layout.initial
    record.size = layout.size
    return record
