# What plugins say of flows that others made, where records are arrays. It is made of a few fields, and most flows have the
# same in these: what was said of one flow is remembered by the values that were looked at, in their order.

cdef struct Case:
    ps_slot slot
    Question *next

cdef struct Question:
    int place               # of the field that is looked at next; -1: none is, and `said` is the answer
    int count, room
    Case *cases             # what follows, for each of its values that there was
    PyObject *said

cdef enum:
    MOST_QUESTIONS = 65536
    MOST_CASES = 1024       # of one question: they are looked through

from json import dumps as _dumps


cdef Question *_new_question() except NULL:
    cdef Question *question = <Question *>calloc(1, sizeof(Question))
    if question == NULL:
        raise MemoryError
    question.place = -1
    return question


cdef void _free_question(Question *question):
    cdef int i
    for i in range(question.count):
        _free_question(question.cases[i].next)
    Py_XDECREF(question.said)
    free(question.cases)
    free(question)


class Asked(dict):
    """The fields of a flow; ``reads`` names those that were looked at, and is None where it cannot be told which."""

    def __init__(self, fields):
        super().__init__(fields)
        self.reads = {}

    def __getitem__(self, name):
        if self.reads is not None:
            self.reads[name] = None
        return super().__getitem__(name)

    def get(self, name, default=None):
        if self.reads is not None:
            self.reads[name] = None
        return super().get(name, default)


def _opaque(name):
    def method(self, *args, **kwargs):
        self.reads = None
        return getattr(super(Asked, self), name)(*args, **kwargs)
    return method


for _name in ("__contains__", "__delitem__", "__eq__", "__ior__", "__iter__", "__len__", "__ne__", "__or__", "__repr__",
              "__reversed__", "__ror__", "__setitem__", "clear", "copy", "items", "keys", "pop", "popitem", "setdefault",
              "update", "values"):
    setattr(Asked, _name, _opaque(_name))
del _name


cdef class Answers:
    """Adds to each of the records of a flow table, which shows the field ``path`` last, its ``path``, ``conditions`` and
    ``time``.

    :param ask: gives the conditions of a flow: a list, and whether another flow has the same if it has the same fields
    :param ports: those that matter to conditions; any two others are the same to them
    :param timestamp: gives seconds since 1970 as text, the last six digits of which are microseconds
    """

    cdef object ask, timestamp
    cdef Question *first
    cdef int questions
    cdef int64_t second[2]      # the last ones that were made text, of begin and end
    cdef list texts
    cdef int path, sip, dip, sp, dp
    cdef ps_slot ports[8]
    cdef int n_ports
    cdef _Text text

    def __cinit__(self, ask, timestamp, ports):
        self.ask = ask
        self.timestamp = timestamp
        self.first = _new_question()
        self.second[0] = self.second[1] = -1
        self.texts = [b"", b""]
        self.path, self.sip, self.dip = place("path"), place("sip"), place("dip")
        self.sp, self.dp = place("sp"), place("dp")
        for port in ports:
            self.ports[self.n_ports] = ps_int_slot(port)
            self.n_ports += 1
        self.text = _Text()

    def __dealloc__(self):
        if self.first != NULL:
            _free_question(self.first)

    def add(self, list records not None):
        """To all of them, or to none: False where the table has dicts."""
        for record in records:
            if type(record) is not Record:
                return False
        for record in records:
            self.add_one(record)
        return True

    cdef int add_one(self, Record record) except -1:
        cdef _Text text = self.text
        text.used = 0
        text.other = _dumps
        text.add("[", 1)
        text.add_slot(record.at[self.sip])
        text.add(', "*", ', 7)
        text.add_slot(record.at[self.dip])
        text.add("], ", 3)
        text.add('"conditions": ', 14)
        text.add_bytes(self.said(record))
        self.add_times(text, record)
        put(record, self.path, Json(PyBytes_FromStringAndSize(text.data, text.used)))
        return 0

    cdef int add_times(self, _Text text, Record record) except -1:
        """``time``, if there is such a one: a capture may say that it is from the year 30000."""
        cdef double begun = ps_slot_float(record.at[PKT_FIRST_AT]), ended = ps_slot_float(record.at[PKT_LAST_AT])
        cdef size_t before = text.used
        if not ps_slot_is_float(record.at[PKT_FIRST_AT]):
            begun = record[PKT_FIRST]
        if not ps_slot_is_float(record.at[PKT_LAST_AT]):
            ended = record[PKT_LAST]
        try:
            text.add(', "time": {"from": "', 20)
            self.add_time(text, 0, begun)
            text.add('", "to": "', 10)
            self.add_time(text, 1, ended if ended > begun else begun)
            text.add('"}', 2)
        except (ValueError, OverflowError, OSError):
            text.used = before
        return 0

    cdef int add_time(self, _Text text, int which, double seconds) except -1:
        cdef int64_t whole = <int64_t>seconds if 0 <= seconds < 1e15 else -1
        cdef double rest = (seconds - whole) * 1e6
        cdef int64_t micro = <int64_t>rest
        cdef int i
        cdef char digits[6]
        if whole < 0 or rest - micro == 0.5 or micro >= 999999:  # how to round, others know
            return self.add_text(text, self.timestamp(seconds))
        if rest - micro > 0.5:
            micro += 1
        if self.second[which] != whole:
            told = self.timestamp(<double>whole)
            self.texts[which] = told[:len(told) - 6].encode("ascii")
            self.second[which] = whole
        text.add_bytes(self.texts[which])
        for i in range(6):
            digits[5 - i] = <char>(c"0" + micro % 10)
            micro //= 10
        return text.add(digits, 6)

    cdef int add_text(self, _Text text, str value) except -1:
        return text.add_bytes(value.encode("ascii"))

    cdef inline ps_slot look(self, Record record, int place) noexcept:
        """What there is to be known of a field."""
        cdef ps_slot slot = record.at[place]
        cdef int i
        if (place == self.sp or place == self.dp) and ps_slot_is_int(slot):
            for i in range(self.n_ports):
                if self.ports[i] == slot:
                    return slot
            return ps_int_slot(-1)
        return slot

    cdef bytes said(self, Record record):
        """The conditions of a flow as JSON."""
        cdef Question *question = self.first
        cdef Question *following
        cdef ps_slot slot
        cdef int i
        while question.place >= 0:
            slot = self.look(record, question.place)
            for i in range(question.count):
                if question.cases[i].slot == slot:
                    following = question.cases[i].next
                    if i:  # what comes often comes to stand in front
                        question.cases[i], question.cases[i - 1] = question.cases[i - 1], question.cases[i]
                    question = following
                    break
            else:
                return self.find_out(record)
        if question.said != NULL:
            return <bytes>question.said
        return self.find_out(record)

    cdef bytes find_out(self, Record record):
        asked = Asked({name: record[name] for name in record.layout.template if name != "path" and name[0] != "_"})
        conditions, same = self.ask(asked)
        text = _dumps(conditions).encode("ascii")
        if same and asked.reads is not None:
            self.remember(record, asked.reads, text)
        return text

    cdef int remember(self, Record record, dict reads, bytes text) except -1:
        cdef Question *question = self.first
        cdef ps_slot slot
        cdef int i
        for name in reads:
            if name not in record.layout.template:
                return 0
            slot = record.at[place(name)]
            if (ps_slot_is_object(slot) and <PyObject *>slot not in (NONE, TRUE, FALSE)):
                return 0  # another object may say the same
        if self.questions >= MOST_QUESTIONS:
            self.forget()
            question = self.first
        for name in reads:
            if question.count == MOST_CASES:
                return self.forget()
            if question.said != NULL or question.place not in (-1, place(name)):
                return 0  # what was said before was said of something else
            question.place = place(name)
            question = self.follow(question, self.look(record, question.place))
        if question.place < 0 and question.said == NULL:
            Py_INCREF(text)
            question.said = <PyObject *>text
        return 0

    cdef int forget(self) except -1:
        cdef Question *first = _new_question()
        _free_question(self.first)
        self.first = first
        self.questions = 0
        return 0

    cdef Question *follow(self, Question *question, ps_slot slot) except NULL:
        cdef int i
        cdef Case *cases
        for i in range(question.count):
            if question.cases[i].slot == slot:
                return question.cases[i].next
        if question.count == question.room:
            cases = <Case *>realloc(question.cases, (question.room * 2 + 2) * sizeof(Case))
            if cases == NULL:
                raise MemoryError
            question.cases = cases
            question.room = question.room * 2 + 2
        question.cases[question.count].next = _new_question()
        question.cases[question.count].slot = slot
        question.count += 1
        self.questions += 1
        return question.cases[question.count - 1].next
