# Flow records as lines of JSON: they are flat and their keys repeat, so this need not cost what json.dumps() does.

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    const uint8_t *PyUnicode_1BYTE_DATA(object text)
    char *PyOS_double_to_string(double value, char code, int precision, int options, int *kind) except NULL
    void PyMem_Free(void *p)
    long PyLong_AsLongAndOverflow(object value, int *overflow) except? -1
    bint PyLong_CheckExact(object value)
    bint PyList_CheckExact(object value)
    bint PyFloat_CheckExact(object value)
    double PyFloat_AS_DOUBLE(object value)


cdef class _Text:
    cdef char *data
    cdef size_t used, size

    def __dealloc__(self):
        free(self.data)

    cdef int add(self, const char *text, size_t length) except -1:
        cdef char *larger
        if self.used + length > self.size:
            self.size = (self.used + length) * 2 + 65536
            larger = <char *>realloc(self.data, self.size)
            if larger == NULL:
                raise MemoryError
            self.data = larger
        memcpy(self.data + self.used, text, length)
        self.used += length
        return 0

    cdef int add_bytes(self, bytes text) except -1:
        return self.add(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef int add_value(self, object value, object other) except -1:
        cdef int overflow = 0, length
        cdef long number
        cdef unsigned long rest
        cdef char digits[32]
        cdef char *text
        cdef const uint8_t *p
        cdef Py_ssize_t i, size
        if value is None:
            return self.add("null", 4)
        if value is True:
            return self.add("true", 4)
        if value is False:
            return self.add("false", 5)
        if PyList_CheckExact(value) and not value:
            return self.add("[]", 2)
        if PyLong_CheckExact(value):
            number = PyLong_AsLongAndOverflow(value, &overflow)
            if not overflow:
                text = digits + sizeof(digits)
                rest = <unsigned long>number if number >= 0 else 0 - <unsigned long>number
                while True:
                    text -= 1
                    text[0] = <char>(c'0' + rest % 10)
                    rest //= 10
                    if rest == 0:
                        break
                if number < 0:
                    text -= 1
                    text[0] = c'-'
                return self.add(text, digits + sizeof(digits) - text)
        elif PyFloat_CheckExact(value):
            if value - value == 0:  # neither infinite nor NaN
                text = PyOS_double_to_string(PyFloat_AS_DOUBLE(value), c'r', 0, 2, NULL)
                length = self.add_text(text)
                PyMem_Free(text)
                return length
        elif PyUnicode_CheckExact(value) and PyUnicode_IS_COMPACT_ASCII(value):
            p = PyUnicode_1BYTE_DATA(value)
            size = PyUnicode_GET_LENGTH(value)
            for i in range(size):
                if p[i] < 32 or p[i] == 34 or p[i] == 92 or p[i] == 127:
                    break
            else:
                self.add('"', 1)
                self.add(<const char *>p, size)
                return self.add('"', 1)
        return self.add_bytes(other(value).encode("ascii"))

    cdef int add_text(self, const char *text) except -1:
        cdef size_t length = 0
        while text[length]:
            length += 1
        return self.add(text, length)


def json_lines(records, default=None):
    """Records (dicts) as lines of ASCII JSON, one ``bytes``. Says what ``json.dumps(record, default=default)`` says."""
    from json import dumps
    cdef _Text text = _Text()
    cdef dict keys = {}
    cdef dict record
    cdef bytes label
    cdef bint first

    def other(value):
        return dumps(value, default=default)

    for record in records:
        first = True
        text.add("{", 1)
        for key, value in record.items():
            if not first:
                text.add(", ", 2)
            first = False
            found = keys.get(key) if type(key) is str else None
            if found is None:
                # what json makes of a key, numbers and the like included
                whole = dumps({key: 0})
                label = whole[1:len(whole) - 2].encode("ascii")
                if type(key) is str:
                    keys[key] = label
            else:
                label = <bytes>found
            text.add_bytes(label)
            text.add_value(value, other)
        text.add("}\n", 2)
    return PyBytes_FromStringAndSize(text.data, text.used)
