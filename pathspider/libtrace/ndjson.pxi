# Flow records as lines of JSON: they are flat, their keys repeat, and so do most of their values. So this need not cost
# what json.dumps() does.

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
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *text, Py_ssize_t size) except NULL
    char *bytes_data "PyBytes_AS_STRING"(PyObject *text)
    int _PyBytes_Resize(PyObject **text, Py_ssize_t size) except -1

cdef extern from *:
    """
    /* Whether ASCII text stands in JSON as it is: no control characters, quotation marks and backslashes. Eight octets at
       a time; none is above 127, so that bit 7 of each is free to tell. */
    static int is_plain(const uint8_t *p, Py_ssize_t size)
    {
        const uint64_t ones = 0x0101010101010101, tops = ones << 7;
        uint64_t found = 0, octets;
        Py_ssize_t i = 0;
        for (; i + 8 <= size; i += 8) {
            memcpy(&octets, p + i, 8);
            found |= (octets + 96 * ones) ^ tops;            /* below 32 */
            found |= (octets + ones) & tops;                 /* 127 */
            found |= ((octets ^ 34 * ones) + 127 * ones) ^ tops;
            found |= ((octets ^ 92 * ones) + 127 * ones) ^ tops;
            if (found & tops)
                return 0;
        }
        for (; i < size; i++)
            if (p[i] < 32 || p[i] == 34 || p[i] == 92 || p[i] == 127)
                return 0;
        return 1;
    }
    """
    bint is_plain(const uint8_t *p, Py_ssize_t size)


cdef inline char *_digits(char *end, unsigned long number) noexcept:
    """Writes a number in front of ``end``; where it begins."""
    while True:
        end -= 1
        end[0] = <char>(c'0' + number % 10)
        number //= 10
        if number == 0:
            return end


cdef class _Text:
    """Bytes that grow."""

    cdef PyObject *whole
    cdef char *data
    cdef size_t used, size

    def __dealloc__(self):
        Py_XDECREF(self.whole)

    cdef int enlarge(self, size_t size) except -1:
        if self.whole == NULL:
            self.whole = new_bytes(NULL, size)
        else:
            _PyBytes_Resize(&self.whole, size)
        self.data = bytes_data(self.whole)
        self.size = size
        return 0

    cdef inline int add(self, const char *text, size_t length) except -1:
        if self.used + length > self.size:
            self.enlarge((self.used + length) * 2 + 65536)
        memcpy(self.data + self.used, text, length)
        self.used += length
        return 0

    cdef bytes take(self):
        """All of it; once."""
        if self.whole == NULL:
            return b""
        _PyBytes_Resize(&self.whole, self.used)
        return <bytes><object>self.whole

    cdef int add_value(self, object value, object other) except -1:
        cdef int overflow = 0
        cdef long number
        cdef char digits[32]
        cdef char *text
        cdef const uint8_t *p
        cdef Py_ssize_t size
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
                text = _digits(digits + sizeof(digits),
                               <unsigned long>number if number >= 0 else 0 - <unsigned long>number)
                if number < 0:
                    text -= 1
                    text[0] = c'-'
                return self.add(text, digits + sizeof(digits) - text)
        elif PyFloat_CheckExact(value):
            if value - value == 0:  # neither infinite nor NaN
                return self.add_float(PyFloat_AS_DOUBLE(value))
        elif PyUnicode_CheckExact(value) and PyUnicode_IS_COMPACT_ASCII(value):
            p = PyUnicode_1BYTE_DATA(value)
            size = PyUnicode_GET_LENGTH(value)
            if is_plain(p, size):
                self.add('"', 1)
                self.add(<const char *>p, size)
                return self.add('"', 1)
        return self.add_bytes(other(value).encode("ascii"))

    cdef int add_bytes(self, bytes text) except -1:
        return self.add(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef int add_float(self, double value) except -1:
        """The shortest text that means the number. Where a number of whole microseconds does, as most times are, it is
        that one: below 2 ** 32, no two of them are the same double."""
        cdef unsigned long microseconds, rest
        cdef char digits[32]
        cdef char *end = digits + sizeof(digits)
        cdef char *text
        if 0.001 <= value < 4294967296.0:
            microseconds = <unsigned long>(value * 1e6 + 0.5)
            if <double>microseconds / 1e6 == value:
                rest = microseconds % 1000000
                text = _digits(end, 1000000 + rest)  # the 1 makes place for leading zeros, and for the point
                text[0] = c'.'
                while end > text + 2 and (end - 1)[0] == c'0':
                    end -= 1
                text = _digits(text, microseconds // 1000000)
                return self.add(text, end - text)
        text = PyOS_double_to_string(value, c'r', 0, 2, NULL)
        try:
            return self.add_bytes(text)
        finally:
            PyMem_Free(text)


cdef struct Pair:
    PyObject *key
    PyObject *value         # NULL: it may change, and is not compared
    size_t text, end        # where the value is in the line


cdef class _Pattern:
    """A record and its line. Of the next record's line, what is the same need not be made again: where key and value are
    the very same objects, the text is."""

    cdef Pair *pairs
    cdef Py_ssize_t count, room
    cdef int *unlike        # which of the pairs a record has other values for; as many places as there are pairs
    cdef bytes line
    cdef list held          # what the pairs point to
    cdef Layout layout      # of the record, if it was not a dict

    def __dealloc__(self):
        free(self.pairs)
        free(self.unlike)

    cdef int begin(self, dict record, _Text text, object other) except -1:
        """Writes a record that is unlike the one before; it becomes the pattern."""
        cdef size_t start = text.used
        cdef Pair pair
        cdef bint plain = True
        self.count = 0
        self.held = []
        for key, value in record.items():
            text.add(", " if self.held else "{", 2 if self.held else 1)
            if type(key) is str:
                text.add_value(key, other)
                text.add(": ", 2)
            else:
                plain = False
                whole = other({key: 0})  # what json makes of numbers and the like
                text.add_bytes(whole[1:len(whole) - 2].encode("ascii"))
            pair.text = text.used - start
            text.add_value(value, other)
            pair.end = text.used - start
            pair.key = <PyObject *>key
            pair.value = <PyObject *>value if value is None or type(value) in (bool, int, str, float) else NULL
            self.held.append(key)
            self.held.append(value)
            self.add_pair(&pair)
        text.add("}\n" if self.held else "{}\n", 2 if self.held else 3)
        if not plain:
            self.count = 0
        self.line = PyBytes_FromStringAndSize(text.data + start, text.used - start)
        return 0

    cdef int add_pair(self, const Pair *pair) except -1:
        cdef Pair *larger
        cdef int *places
        if self.count == self.room:
            places = <int *>realloc(self.unlike, (self.room * 2 + 64) * sizeof(int))
            if places == NULL:
                raise MemoryError
            self.unlike = places
            larger = <Pair *>realloc(self.pairs, (self.room * 2 + 64) * sizeof(Pair))
            if larger == NULL:
                raise MemoryError
            self.pairs = larger
            self.room = self.room * 2 + 64
        self.pairs[self.count] = pair[0]
        self.count += 1
        return 0

    cdef bint follow_places(self, Record record, _Text text, object other) except -1:
        """The same of a record with the pattern's layout."""
        cdef size_t done = 0
        cdef int i, k, others = 0
        cdef const char *line
        cdef const int *shown
        cdef PyObject *value
        if record.layout is not self.layout or self.count == 0:
            return False
        shown = record.layout.shown
        for i in range(record.layout.count):
            value = record.at[shown[i]]
            if self.pairs[i].value != value:
                __builtin_prefetch(value)  # it was made when the flow began, and is in no cache any more
                self.unlike[others] = i
                others += 1
        line = PyBytes_AS_STRING(self.line)
        for k in range(others):
            i = self.unlike[k]
            text.add(line + done, self.pairs[i].text - done)
            text.add_value(<object>record.at[shown[i]], other)
            done = self.pairs[i].end
        text.add(line + done, PyBytes_GET_SIZE(self.line) - done)
        return True

    cdef bint follow(self, dict record, _Text text, object other) except -1:
        """Writes a record that has the pattern's keys, in its order; False, and nothing is written, for any other."""
        cdef size_t start = text.used, done = 0
        cdef Py_ssize_t place = 0, i = 0, count = len(record)
        cdef const char *line
        cdef PyObject *key
        cdef PyObject *value
        if count != self.count or count == 0:
            return False
        line = PyBytes_AS_STRING(self.line)
        while PyDict_Next(record, &place, &key, &value):
            if i == count or self.pairs[i].key != key:
                text.used = start
                return False
            if self.pairs[i].value != value:
                text.add(line + done, self.pairs[i].text - done)
                text.add_value(<object>value, other)
                done = self.pairs[i].end
                if len(record) != count:
                    raise RuntimeError("dictionary changed size during iteration")
            i += 1
        text.add(line + done, PyBytes_GET_SIZE(self.line) - done)
        return True


cdef size_t _most = 65536   # octets of the lines of a call so far. malloc() keeps memory of a size that it has seen before;
                            # what grows and shrinks is mapped, touched and unmapped each time


def json_lines(records, default=None):
    """Records (dicts) as lines of ASCII JSON, one ``bytes``. Says what ``json.dumps(record, default=default)`` says."""
    from json import dumps
    global _most
    cdef _Text text = _Text()
    cdef _Pattern pattern = _Pattern()
    cdef dict record

    def other(value):
        return dumps(value, default=default)

    text.enlarge(_most)
    for each in records:
        if type(each) is Record:
            if not pattern.follow_places(each, text, other):
                pattern.begin((<Record>each).finished(), text, other)
                pattern.layout = (<Record>each).layout
            continue
        if each is None:
            raise TypeError("None is no record")
        record = each
        if not pattern.follow(record, text, other):
            pattern.begin(record, text, other)
            pattern.layout = None
    _most = min(max(_most, text.used), <size_t>16777216)
    return text.take()
