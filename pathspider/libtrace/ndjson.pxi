# Flow records as lines of JSON: they are flat, their keys repeat, and so do most of their values. So this need not cost
# what json.dumps() does.

cdef extern from "Python.h":
    PyObject *NONE "Py_None"
    PyObject *TRUE "Py_True"
    PyObject *FALSE "Py_False"
    char *PyOS_double_to_string(double value, char code, int precision, int options, int *kind) except NULL
    void PyMem_Free(void *p)
    long PyLong_AsLongAndOverflow(object value, int *overflow) except? -1
    bint PyLong_CheckExact(object value)
    bint PyList_CheckExact(object value)
    bint PyFloat_CheckExact(object value)
    double PyFloat_AS_DOUBLE(object value)

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

    /* Text that stands in JSON as it is; NULL: it does not, or the value is no text. Needs no lock: such a text never
       changes. */
    static const uint8_t *plain_text(PyObject *value, Py_ssize_t *size)
    {
        if (!PyUnicode_CheckExact(value) || !PyUnicode_IS_COMPACT_ASCII(value))
            return NULL;
        *size = PyUnicode_GET_LENGTH(value);
        return is_plain(PyUnicode_1BYTE_DATA(value), *size) ? PyUnicode_1BYTE_DATA(value) : NULL;
    }
    static PyObject *type_of(PyObject *value) { return (PyObject *)Py_TYPE(value); }
    static PyObject **list_items(PyObject *list) { return ((PyListObject *)list)->ob_item; }
    static Py_ssize_t list_size(PyObject *list) { return Py_SIZE(list); }
    """
    const uint8_t *plain_text(PyObject *value, Py_ssize_t *size) nogil
    PyObject *type_of(PyObject *value) nogil
    PyObject **list_items(PyObject *items) nogil
    Py_ssize_t list_size(PyObject *items) nogil


cdef inline char *_digits(char *end, unsigned long number) noexcept nogil:
    """Writes a number in front of ``end``; where it begins."""
    while True:
        end -= 1
        end[0] = <char>(c'0' + number % 10)
        number //= 10
        if number == 0:
            return end


@cython.final
cdef class Json:
    """A value that is JSON already. That of a record's last field may name further ones."""

    cdef bytes text
    cdef const char *chars
    cdef size_t length

    def __cinit__(self, bytes text not None):
        self.text = text
        self.chars = PyBytes_AS_STRING(text)
        self.length = PyBytes_GET_SIZE(text)


cdef extern from "math.h" nogil:
    int signbit(double value)
cdef extern from "unistd.h" nogil:
    ssize_t c_write "write"(int fd, const void *data, size_t size)
cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    short POLLOUT
    int poll(pollfd *fds, unsigned long count, int timeout)

cdef enum:
    AT_ONCE = 1 << 18       # octets that are written at once: no more than a core's own cache holds


cdef class _Text:
    """Bytes that grow; or, with a file, that leave from time to time."""

    cdef char *data
    cdef size_t used, size
    cdef object other       # what json makes of a value
    cdef int descriptor     # -1: no file
    cdef uint64_t left      # octets that the file has taken

    def __cinit__(self, int descriptor=-1):
        self.descriptor = descriptor

    cdef inline int spill(self, size_t more_than=AT_ONCE) except -1 nogil:
        """Between two lines: to the file with them, if there are so many octets by now. Other threads run meanwhile."""
        cdef size_t done = 0
        cdef ssize_t taken
        cdef pollfd waiting
        if self.descriptor < 0 or self.used <= more_than:
            return 0
        while done < self.used:
            taken = c_write(self.descriptor, self.data + done, self.used - done)
            if taken >= 0:
                done += taken
                self.left += taken
            elif errno == EAGAIN:  # a terminal or pipe that another process has made so
                waiting.fd, waiting.events = self.descriptor, POLLOUT
                poll(&waiting, 1, -1)
            elif errno == EINTR:
                with gil:
                    PyErr_CheckSignals()
            else:
                with gil:
                    self.take_back(done, errno)
        self.used = 0
        return 0

    cdef int take_back(self, size_t done, int error) except -1:
        """The file takes no more: it is to end with a whole line. Raises."""
        self.used = 0
        self.left -= done
        if done:  # or the position may be 0 in a file that is appended to
            try:  # a pipe cannot be cut
                _os.ftruncate(self.descriptor, _os.lseek(self.descriptor, -<ssize_t>done, _os.SEEK_CUR))
            except OSError:
                pass
        raise OSError(error, _os.strerror(error))

    def __dealloc__(self):
        free(self.data)

    cdef int enlarge(self, size_t size) except -1 nogil:
        cdef char *data = <char *>realloc(self.data, size)
        if data == NULL:
            with gil:
                raise MemoryError
        self.data = data
        self.size = size
        return 0

    cdef inline int add(self, const char *text, size_t length) except -1 nogil:
        if self.used + length > self.size:
            self.enlarge((self.used + length) * 2 + 65536)
        memcpy(self.data + self.used, text, length)
        self.used += length
        return 0

    cdef int add_int(self, long number) except -1 nogil:
        cdef char digits[32]
        cdef char *text = _digits(digits + sizeof(digits),
                                  <unsigned long>number if number >= 0 else 0 - <unsigned long>number)
        if number < 0:
            text -= 1
            text[0] = c'-'
        return self.add(text, digits + sizeof(digits) - text)

    cdef int add_slot(self, ps_slot slot) except -1 nogil:
        """A value of a :class:`Record`. Of most, none needs the interpreter's lock."""
        cdef Py_ssize_t size = 0
        cdef const uint8_t *p
        if ps_slot_is_int(slot):
            return self.add_int(ps_slot_int(slot))
        if ps_slot_is_float(slot):
            return self.add_float(ps_slot_float(slot))
        if <PyObject *>slot == NONE:
            return self.add("null", 4)
        if <PyObject *>slot == TRUE:
            return self.add("true", 4)
        if <PyObject *>slot == FALSE:
            return self.add("false", 5)
        p = plain_text(<PyObject *>slot, &size)
        if p == NULL:
            if type_of(<PyObject *>slot) == JSON:
                return self.add((<Json>(<PyObject *>slot)).chars, (<Json>(<PyObject *>slot)).length)
            with gil:
                return self.add_value(<object><PyObject *>slot)
        self.add('"', 1)
        self.add(<const char *>p, size)
        return self.add('"', 1)

    cdef int add_value(self, object value) except -1:
        cdef int overflow = 0
        cdef long number
        cdef const uint8_t *p
        cdef Py_ssize_t size = 0
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
                return self.add_int(number)
        elif PyFloat_CheckExact(value):
            if value - value == 0:  # neither infinite nor NaN
                return self.add_float(PyFloat_AS_DOUBLE(value))
        elif PyUnicode_CheckExact(value):
            p = plain_text(<PyObject *>value, &size)
            if p != NULL:
                self.add('"', 1)
                self.add(<const char *>p, size)
                return self.add('"', 1)
        return self.add_bytes(self.other(value).encode("ascii"))

    cdef int add_bytes(self, bytes text) except -1:
        return self.add(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef int add_few(self, unsigned long microseconds) except -1 nogil:
        """Seconds of which repr() says 7e-06, 1e-05, or 2.5e-05."""
        cdef char text[8]
        cdef size_t length = 1
        text[0] = <char>(c'0' + (microseconds if microseconds < 10 else microseconds // 10))
        if microseconds > 10 and microseconds % 10:
            text[1] = c'.'
            text[2] = <char>(c'0' + microseconds % 10)
            length = 3
        memcpy(text + length, b"e-06", 4)
        if microseconds >= 10:
            text[length + 3] = c'5'
        return self.add(text, length + 4)

    cdef int add_float(self, double value) except -1 nogil:
        """The shortest text that means the number. Where a number of whole microseconds does, as most times are, it is
        that one: below 2 ** 32, no two of them are the same double."""
        cdef unsigned long microseconds, rest
        cdef char digits[32]
        cdef char *end = digits + sizeof(digits)
        cdef char *text
        if 0 < value < 4294967296.0:
            microseconds = <unsigned long>(value * 1e6 + 0.5)
            if <double>microseconds / 1e6 == value:
                if microseconds < 100:
                    return self.add_few(microseconds)
                rest = microseconds % 1000000
                text = _digits(end, 1000000 + rest)  # the 1 makes place for leading zeros, and for the point
                text[0] = c'.'
                while end > text + 2 and (end - 1)[0] == c'0':
                    end -= 1
                text = _digits(text, microseconds // 1000000)
                return self.add(text, end - text)
        elif value == 0 and not signbit(value):
            return self.add("0.0", 3)
        with gil:
            text = PyOS_double_to_string(value, c'r', 0, 2, NULL)
            try:
                return self.add_bytes(text)
            finally:
                PyMem_Free(text)


cdef PyObject *JSON = <PyObject *>Json


cdef struct Pair:
    PyObject *key
    PyObject *value         # NULL: it may change, and is not compared
    ps_slot slot            # of a Record, in the place of both; 0: it may change, and is not compared
    size_t text, end        # where the value is in the line


cdef inline bint _stays(object value):
    """Whether a value is always the same text."""
    return value is None or type(value) in (bool, int, str, float)


cdef class _Pattern:
    """A record and its line. Of the next record's line, what is the same need not be made again: where key and value are
    the very same objects, the text is."""

    cdef Pair *pairs
    cdef Py_ssize_t count, room
    cdef int *unlike        # which of the pairs a record has other values for; as many places as there are pairs
    cdef bytes line
    cdef const char *chars  # of the line
    cdef size_t length
    cdef list held          # what the pairs point to
    cdef Layout layout      # of the record; None: it was a dict

    def __dealloc__(self):
        free(self.pairs)
        free(self.unlike)

    cdef int begin(self, dict record, _Text text) except -1:
        """Writes a record that is unlike the one before; it becomes the pattern."""
        cdef size_t start = text.used
        cdef Pair pair
        cdef bint plain = True
        self.count = 0
        self.held = []
        self.layout = None
        for key, value in record.items():
            text.add(", " if self.held else "{", 2 if self.held else 1)
            if type(key) is str:
                text.add_value(key)
                text.add(": ", 2)
            else:
                plain = False
                whole = text.other({key: 0})  # what json makes of numbers and the like
                text.add_bytes(whole[1:len(whole) - 2].encode("ascii"))
            pair.text = text.used - start
            text.add_value(value)
            pair.end = text.used - start
            pair.key = <PyObject *>key
            pair.value = <PyObject *>value if _stays(value) else NULL
            self.held.append(key)
            self.held.append(value)
            self.add_pair(&pair)
        text.add("}\n" if self.held else "{}\n", 2 if self.held else 3)
        if not plain:
            self.count = 0
        return self.take_line(text, start)

    cdef int begin_places(self, Record record, _Text text) except -1:
        """The same of a record of which the layout is another one."""
        cdef size_t start = text.used
        cdef Pair pair
        cdef ps_slot slot
        cdef int i
        self.count = 0
        self.held = []
        for i in range(record.layout.count):
            slot = record.at[record.layout.shown[i]]
            text.add(", " if i else "{", 2 if i else 1)
            text.add_value(<object>PyList_GET_ITEM(_names, record.layout.shown[i]))
            text.add(": ", 2)
            pair.text = text.used - start
            text.add_slot(slot)
            pair.end = text.used - start
            pair.slot = slot
            if ps_slot_is_object(slot):
                self.held.append(<object><PyObject *>slot)
                if not _stays(<object><PyObject *>slot):
                    pair.slot = 0
            self.add_pair(&pair)
        text.add("}\n" if self.count else "{}\n", 2 if self.count else 3)
        self.layout = record.layout
        return self.take_line(text, start)

    cdef int take_line(self, _Text text, size_t start) except -1:
        self.line = PyBytes_FromStringAndSize(text.data + start, text.used - start)
        self.chars = PyBytes_AS_STRING(self.line)
        self.length = text.used - start
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

    cdef int follow_places(self, const ps_slot *at, const int *shown, _Text text) except -1 nogil:
        """Writes a record with the pattern's layout. Without the interpreter's lock: nobody changes a finished record."""
        cdef size_t done = 0
        cdef int i, k, others = 0
        cdef ps_slot slot
        for i in range(self.count):
            slot = at[shown[i]]
            if self.pairs[i].slot != slot:
                if ps_slot_is_object(slot):
                    __builtin_prefetch(<PyObject *>slot)  # it was made when the flow began, and is in no cache any more
                self.unlike[others] = i
                others += 1
        for k in range(others):
            i = self.unlike[k]
            text.add(self.chars + done, self.pairs[i].text - done)
            text.add_slot(at[shown[i]])
            done = self.pairs[i].end
        return text.add(self.chars + done, self.length - done)

    cdef bint follow(self, dict record, _Text text) except -1:
        """Writes a record that has the pattern's keys, in its order; False, and nothing is written, for any other."""
        cdef size_t start = text.used, done = 0
        cdef Py_ssize_t place = 0, i = 0, count = len(record)
        cdef PyObject *key
        cdef PyObject *value
        if self.layout is not None or count != self.count or count == 0:
            return False
        while PyDict_Next(record, &place, &key, &value):
            if i == count or self.pairs[i].key != key:
                text.used = start
                return False
            if self.pairs[i].value != value:
                text.add(self.chars + done, self.pairs[i].text - done)
                text.add_value(<object>value)
                done = self.pairs[i].end
                if len(record) != count:
                    raise RuntimeError("dictionary changed size during iteration")
            i += 1
        text.add(self.chars + done, self.length - done)
        return True


cdef size_t _most = 65536   # octets of the lines of a call so far. malloc() keeps memory of a size that it has seen before;
                            # what grows and shrinks is mapped, touched and unmapped each time


def json_lines(records, default=None):
    """Records (dicts) as lines of ASCII JSON, one ``bytes``. Says what ``json.dumps(record, default=default)`` says.

    Other threads run while it writes a :class:`Record`, which must not be changed meanwhile."""
    global _most
    cdef _Lines lines = _Lines(-1, default)
    cdef list all = list(records)  # nobody else can change this one
    lines.text.enlarge(_most)
    lines.add(<PyObject *>all)
    _most = min(max(_most, lines.text.used), <size_t>16777216)
    return PyBytes_FromStringAndSize(lines.text.data, lines.text.used)


cdef class _Lines:
    """Makes lines of records."""

    cdef _Text text
    cdef _Pattern pattern
    cdef readonly uint64_t lines
    """How many were made."""

    def __init__(self, int descriptor, default=None):
        from json import dumps
        self.text = _Text(descriptor)
        self.text.other = lambda value: dumps(value, default=default)
        self.pattern = _Pattern()

    cdef int add(self, PyObject *records) except -1 nogil:
        """Adds the lines of a list that nobody changes. Needs no lock where its records have the layout of those before."""
        cdef Py_ssize_t i, count = list_size(records)
        cdef PyObject **items = list_items(records)
        for i in range(count):
            self.text.spill()
            if type_of(items[i]) == RECORD and <PyObject *>(<Record>items[i]).layout == <PyObject *>self.pattern.layout:
                self.pattern.follow_places((<Record>items[i]).at, (<Layout><PyObject *>self.pattern.layout).shown, self.text)
            else:
                with gil:
                    self.add_other(<object>items[i])
            self.lines += 1
        return 0

    cdef int add_other(self, object record) except -1:
        if type(record) is Record:
            return self.pattern.begin_places(record, self.text)
        if record is None:
            raise TypeError("None is no record")
        if not self.pattern.follow(record, self.text):
            self.pattern.begin(record, self.text)
        return 0


@cython.final
cdef class JSONLines(_Lines):
    """Writes records to a file, as :func:`json_lines` has them. Where the file takes no more, it ends with a whole line.

    :param descriptor: of the file, which stays open
    """

    @property
    def octets(self):
        """How many the file has taken."""
        return self.text.left

    def write_from(self, Handover lists not None):
        """Writes what comes until that ends; what is there at once. Without the interpreter's lock, as far as it goes.

        :raises OSError: the file takes no more
        """
        cdef PyObject *records
        self.text.used = 0
        with nogil:
            while True:
                records = lists.next()
                if records == NULL:
                    break
                self.add(records)
                if not lists.more():
                    self.text.spill(0)


cdef PyObject *RECORD = <PyObject *>Record


cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    int pthread_mutex_init(pthread_mutex_t *lock, const void *kind)
    int pthread_mutex_destroy(pthread_mutex_t *lock)
    int pthread_mutex_lock(pthread_mutex_t *lock)
    int pthread_mutex_unlock(pthread_mutex_t *lock)
    int pthread_cond_init(pthread_cond_t *changed, const void *kind)
    int pthread_cond_destroy(pthread_cond_t *changed)
    int pthread_cond_wait(pthread_cond_t *changed, pthread_mutex_t *lock)
    int pthread_cond_timedwait(pthread_cond_t *changed, pthread_mutex_t *lock, const timespec *until)
    int pthread_cond_broadcast(pthread_cond_t *changed)

cdef enum:
    MOST_LISTS = 16


@cython.final
cdef class Handover:
    """Lists from one thread to another, in their order. The other one needs no lock of the interpreter's to get them: to
    wait for that, which the first one rarely lets go of, would take longer than to write what is in them."""

    cdef pthread_mutex_t lock
    cdef pthread_cond_t changed
    cdef PyObject *lists[MOST_LISTS]
    cdef unsigned put_in, taken, done, freed   # how many so far; what is done is freed by who puts the next one in
    cdef bint ended

    def __cinit__(self):
        pthread_mutex_init(&self.lock, NULL)
        pthread_cond_init(&self.changed, NULL)

    def __dealloc__(self):
        self.done = self.put_in
        self.free()
        pthread_cond_destroy(&self.changed)
        pthread_mutex_destroy(&self.lock)

    cdef int free(self) except -1:
        while self.freed != self.done:
            Py_DECREF(<object>self.lists[self.freed % MOST_LISTS])
            self.freed += 1
        return 0

    def put(self, list records not None):
        """Hands over a list, which nobody changes from here on. Waits where :data:`MOST_LISTS` are not done yet."""
        self.free()
        while self.put_in - self.freed == MOST_LISTS:
            with nogil:
                self.wait_a_little()
            PyErr_CheckSignals()
            self.free()
        Py_INCREF(records)
        pthread_mutex_lock(&self.lock)
        self.lists[self.put_in % MOST_LISTS] = <PyObject *>records
        self.put_in += 1
        pthread_cond_broadcast(&self.changed)
        pthread_mutex_unlock(&self.lock)

    cdef void wait_a_little(self) noexcept nogil:
        cdef timespec until
        clock_gettime(0, &until)
        until.tv_nsec += 100000000
        if until.tv_nsec >= 1000000000:
            until.tv_sec += 1
            until.tv_nsec -= 1000000000
        pthread_mutex_lock(&self.lock)
        if self.put_in - self.done == MOST_LISTS:
            pthread_cond_timedwait(&self.changed, &self.lock, &until)
        pthread_mutex_unlock(&self.lock)

    def end(self):
        """No list comes any more."""
        pthread_mutex_lock(&self.lock)
        self.ended = True
        pthread_cond_broadcast(&self.changed)
        pthread_mutex_unlock(&self.lock)

    cdef PyObject *next(self) noexcept nogil:
        """Waits for the next list; the one before is done. NULL: there is none any more."""
        cdef PyObject *found = NULL
        pthread_mutex_lock(&self.lock)
        if self.done != self.taken:
            self.done = self.taken
            pthread_cond_broadcast(&self.changed)
        while self.taken == self.put_in and not self.ended:
            pthread_cond_wait(&self.changed, &self.lock)
        if self.taken != self.put_in:
            found = self.lists[self.taken % MOST_LISTS]
            self.taken += 1
        pthread_mutex_unlock(&self.lock)
        return found

    cdef bint more(self) noexcept nogil:
        """Whether a list is there already."""
        cdef bint found
        pthread_mutex_lock(&self.lock)
        found = self.taken != self.put_in
        pthread_mutex_unlock(&self.lock)
        return found

    def take(self):
        """As an object: waits for the next list; None when there is none any more."""
        cdef PyObject *found
        with nogil:
            found = self.next()
        return None if found == NULL else <object>found
