/* The plain way of a task in C: twins of a few methods of `ecsim.kernel`, `collab` and `runtime`.
 *
 * The classes stay Python classes; nothing here is a type. `bind` takes them, notes where their
 * slots lie, and puts a C function in the place of the methods listed in `methods` below. Each of
 * these functions does what the Python method does in the plain case - the same operations on the
 * same floats in the same order - and calls the Python method for everything else. Whether a case
 * is plain is found out before anything is changed.
 *
 * Names: `at_CLASS_SLOT` is the offset of a slot, `t_CLASS` the class. References are borrowed
 * unless a comment says "new"; `put` steals one.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <math.h>

#if defined(Py_GIL_DISABLED) || defined(PYPY_VERSION)
#error "the twins count on CPython's slots and on its global interpreter lock"
#endif

/* What the classes look like ----------------------------------------------------------------- */

#define CLASSES(X) \
    X(World) X(Flow) X(Operation) X(Use) X(Travel) X(After) X(Timers) X(Ledger) X(FifoServer) \
    X(Meter) X(Hop) X(Channel) X(Infer) X(Message) X(Account) X(Place) X(Answers) X(Context) \
    X(TaskRows) X(Prediction) X(Answer) X(Arm)

#define SLOTS(X) \
    X(World, _now) X(World, queue) X(World, ids) X(World, n_spawned) X(World, n_done) \
    X(World, unowned_j) X(World, _arrivals) X(World, _arrival_s) X(World, _arrival_item) \
    X(World, _on_arrival) \
    X(Flow, world) X(Flow, ledger) X(Flow, id) X(Flow, item) X(Flow, value) X(Flow, _generator) \
    X(Flow, _on_done) X(Flow, _operation) X(Flow, _waiter) \
    X(Operation, eid) X(Operation, t) X(Operation, value) X(Operation, waiter) \
    X(Use, server) X(Use, seconds) X(Use, joules) X(Use, stage) X(Use, wait_s) \
    X(Travel, hops) X(Travel, size_bytes) X(Travel, stage) X(Travel, marks) X(Travel, owner) \
    X(Travel, ledger) X(Travel, _at) X(Travel, _end_s) X(Travel, _seconds) X(Travel, wait_s) \
    X(Travel, service_s) X(Travel, joules) X(Travel, propagation_s) \
    X(After, seconds) \
    X(Ledger, cells) X(Ledger, is_closed) \
    X(FifoServer, world) X(FifoServer, join) X(FifoServer, frees) X(FifoServer, n_jobs) \
    X(FifoServer, wait_s) X(FifoServer, max_wait_s) X(FifoServer, meter) \
    X(FifoServer, next_background_s) \
    X(Meter, seconds) X(Meter, joules) \
    X(Hop, channel) X(Hop, down_until_s) X(Hop, line) X(Hop, wait_s) X(Hop, bit_per_s) \
    X(Hop, n_jobs) X(Hop, bytes) X(Hop, work_s) X(Hop, power_w) X(Hop, propagation_s) \
    X(Channel, world) X(Channel, free_s) X(Channel, max_wait_s) \
    X(Infer, place) X(Infer, task) X(Infer, model) \
    X(Place, answers) X(Place, is_cloud) X(Place, inference) X(Place, stage) \
    X(Prediction, label) X(Prediction, model) X(Prediction, exit)

#define CLASS(name) static PyTypeObject *t_##name;
CLASSES(CLASS)
#define SLOT(type, name) static Py_ssize_t at_##type##_##name;
SLOTS(SLOT)

/* As in kernel/ledger.py and kernel/meter.py */
enum { PROPAGATION = 0, MARKED = 3, HEAD = 4, WAIT = 0, SERVICE = 1, JOULES = 2, BYTES = 3, WIDTH = 4 };
enum { ACTIVE = 0 };

typedef enum { FAILED = -1, DONE = 0, NOT_PLAIN = 1 } Outcome;

static PyObject *py_fire;                     /* `ecsim.kernel.world.fire_entry` */
static PyObject *py_spawn, *py_use_start, *py_travel_start, *py_after_start, *py_infer_start;
static PyObject *py_infer, *py_send, *py_near, *py_write, *py_arrive, *py_answered;
static PyObject *zero, *one, *zero_s; /* 0, 1, 0.0 */
static PyObject *no_cells;             /* the cells of a new `Account` */

#define NAMES(X) \
    X(start) X(wake) X(advance) X(flush) X(_fail) X(_refused) X(ledger) X(world) X(waiter) X(eid) \
    X(sample_id) X(normalized_entropy) X(_places) X(_ways) X(_nearest) X(_packed) X(_chunk_bytes) \
    X(n_arrived) X(_rows) X(_open) X(_strategy) X(_context) X(_world) X(_on_done) X(serve) X(key) \
    X(_sources) X(_has_mortals) X(_tracing) X(write) X(label) X(at) X(by)
#define NAME(name) static PyObject *n_##name;
NAMES(NAME)

/* Slots, floats, lists ----------------------------------------------------------------------- */

#define GET(object, type, name) (*(PyObject **)((char *)(object) + at_##type##_##name))
#define PUT(object, type, name, value) put(&GET(object, type, name), value)
#define PUT_FLOAT(object, type, name, x) PUT(object, type, name, PyFloat_FromDouble(x))
#define IS_A(object, type) ((object) != NULL && PyObject_TypeCheck(object, t_##type))

static inline void
put(PyObject **slot, PyObject *value)
{
    PyObject *old = *slot;
    *slot = value;
    Py_XDECREF(old);
}

static inline PyObject *
new_ref(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

/* Whether it is a float, and which. */
static inline int
number(PyObject *object, double *x)
{
    if (object == NULL || !PyFloat_CheckExact(object)) {
        return 0;
    }
    *x = PyFloat_AS_DOUBLE(object);
    return 1;
}

static inline int
numbers_from(PyObject *list, Py_ssize_t first, Py_ssize_t n)
{
    if (list == NULL || !PyList_CheckExact(list) || first + n > PyList_GET_SIZE(list)) {
        return 0;
    }
    for (Py_ssize_t i = first; i < first + n; i++) {
        if (!PyFloat_CheckExact(PyList_GET_ITEM(list, i))) {
            return 0;
        }
    }
    return 1;
}

static inline int
whole(PyObject *object, Py_ssize_t *n)
{
    if (object == NULL || !PyLong_CheckExact(object)) {
        return 0;
    }
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    *n = (Py_ssize_t)value;
    return !overflow;
}

/* Of a list that `numbers_from` has looked at. */
static inline double
item(PyObject *list, Py_ssize_t i)
{
    return PyFloat_AS_DOUBLE(PyList_GET_ITEM(list, i));
}

static inline void
set_item(PyObject *list, Py_ssize_t i, double x)
{
    put(&((PyListObject *)list)->ob_item[i], PyFloat_FromDouble(x));
}

static inline void
add_item(PyObject *list, Py_ssize_t i, double x)
{
    set_item(list, i, item(list, i) + x);
}

static inline int
is_zero(PyObject *object)
{
    Py_ssize_t n;
    return object == zero || (whole(object, &n) && n == 0);
}

static inline PyObject * /* new */
blank(PyTypeObject *type)
{
    return type->tp_alloc(type, 0);
}

static PyObject * /* new; the present exception, which is cleared */
taken_error(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace != NULL) {
        PyException_SetTraceback(value, trace);
    }
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return value;
#endif
}

/* The heap of (time, priority, id, entry): `heapq` with a short cut for unequal times ----------- */

static inline int
is_less(PyObject *a, PyObject *b)
{
    PyObject *s = PyTuple_GET_ITEM(a, 0), *t = PyTuple_GET_ITEM(b, 0);
    if (PyFloat_CheckExact(s) && PyFloat_CheckExact(t)) {
        double x = PyFloat_AS_DOUBLE(s), y = PyFloat_AS_DOUBLE(t);
        if (x != y) {
            return x < y;
        }
    }
    return PyObject_RichCompareBool(a, b, Py_LT);
}

static int
sift_down(PyObject **heap, Py_ssize_t start, Py_ssize_t at)
{
    PyObject *entry = heap[at];
    while (at > start) {
        Py_ssize_t parent = (at - 1) >> 1;
        int less = is_less(entry, heap[parent]);
        if (less < 0) {
            return -1;
        }
        if (!less) {
            break;
        }
        heap[at] = heap[parent];
        heap[parent] = entry;
        at = parent;
    }
    return 0;
}

static int
sift_up(PyObject **heap, Py_ssize_t size)
{
    Py_ssize_t at = 0, limit = size >> 1;
    while (at < limit) {
        Py_ssize_t child = 2 * at + 1;
        if (child + 1 < size) {
            int less = is_less(heap[child], heap[child + 1]);
            if (less < 0) {
                return -1;
            }
            child += !less;
        }
        PyObject *entry = heap[child];
        heap[child] = heap[at];
        heap[at] = entry;
        at = child;
    }
    return sift_down(heap, 0, at);
}

/* Put an operation on the heap of its world; steals the time. */
static Outcome
push(PyObject *world, PyObject *time, PyObject *operation)
{
    PyObject *queue = GET(world, World, queue), *ids = GET(world, World, ids);
    PyObject *eid = Py_TYPE(ids)->tp_iternext(ids);
    PyObject *entry = PyTuple_New(4);
    if (eid == NULL || entry == NULL || time == NULL) {
        Py_XDECREF(eid);
        Py_XDECREF(entry);
        Py_XDECREF(time);
        return FAILED;
    }
    PUT(operation, Operation, t, new_ref(time));
    PUT(operation, Operation, eid, new_ref(eid));
    PyTuple_SET_ITEM(entry, 0, time);
    PyTuple_SET_ITEM(entry, 1, new_ref(one));
    PyTuple_SET_ITEM(entry, 2, eid);
    PyTuple_SET_ITEM(entry, 3, new_ref(operation));
    int failed = PyList_Append(queue, entry);
    Py_DECREF(entry);
    if (failed) {
        return FAILED;
    }
    return sift_down(((PyListObject *)queue)->ob_item, 0, PyList_GET_SIZE(queue) - 1) ? FAILED : DONE;
}

static PyObject * /* new */
pop(PyObject *queue)
{
    Py_ssize_t size = PyList_GET_SIZE(queue) - 1;
    PyObject *last = new_ref(PyList_GET_ITEM(queue, size));
    if (PyList_SetSlice(queue, size, size + 1, NULL)) {
        Py_DECREF(last);
        return NULL;
    }
    if (size == 0) {
        return last;
    }
    PyObject **heap = ((PyListObject *)queue)->ob_item;
    PyObject *first = heap[0];
    heap[0] = last;
    if (sift_up(heap, size)) {
        Py_DECREF(first);
        return NULL;
    }
    return first;
}

/* Operations ---------------------------------------------------------------------------------- */

/* Give the account that a waiter charges, and its cells if it has one; NULL with an error. */
static PyObject * /* new */
account_of(PyObject *waiter)
{
    if (Py_IS_TYPE(waiter, t_Flow) && GET(waiter, Flow, ledger) != NULL) {
        return new_ref(GET(waiter, Flow, ledger));
    }
    return PyObject_GetAttr(waiter, n_ledger);
}

/* `Use.start` */
static Outcome
use_start(PyObject *self, PyObject *waiter)
{
    PyObject *server = GET(self, Use, server);
    double now, background, seconds, joules, waited, longest, unowned = 0.0;
    Py_ssize_t n_jobs, stage, at = 0;
    if (!IS_A(server, FifoServer) || !is_zero(GET(self, Operation, eid)) ||
        GET(server, FifoServer, join) != Py_None) {
        return NOT_PLAIN;
    }
    PyObject *world = GET(server, FifoServer, world), *meter = GET(server, FifoServer, meter);
    PyObject *frees = GET(server, FifoServer, frees);
    if (!IS_A(world, World) || !IS_A(meter, Meter) || !numbers_from(frees, 0, 1) ||
        PyList_GET_SIZE(frees) != 1 || !number(GET(world, World, _now), &now) ||
        !number(GET(server, FifoServer, next_background_s), &background) || background <= now ||
        !number(GET(self, Use, seconds), &seconds) || !number(GET(self, Use, joules), &joules) ||
        !(0.0 <= seconds && seconds < INFINITY && 0.0 <= joules && joules < INFINITY) ||
        !number(GET(server, FifoServer, wait_s), &waited) ||
        !number(GET(server, FifoServer, max_wait_s), &longest) ||
        !whole(GET(server, FifoServer, n_jobs), &n_jobs)) {
        return NOT_PLAIN;
    }
    PyObject *busy = GET(meter, Meter, seconds), *energy = GET(meter, Meter, joules);
    if (!numbers_from(busy, ACTIVE, 1) || !numbers_from(energy, ACTIVE, 1)) {
        return NOT_PLAIN;
    }
    PyObject *ledger = account_of(waiter), *cells = NULL;
    if (ledger == NULL) {
        return FAILED;
    }
    if (ledger == Py_None) {
        if (!number(GET(world, World, unowned_j), &unowned)) {
            Py_DECREF(ledger);
            return NOT_PLAIN;
        }
    }
    else {
        if (!IS_A(ledger, Ledger) || !whole(GET(self, Use, stage), &stage) || stage < 0 ||
            !numbers_from(GET(ledger, Ledger, cells), HEAD + WIDTH * stage, WIDTH)) {
            Py_DECREF(ledger);
            return NOT_PLAIN;
        }
        cells = GET(ledger, Ledger, cells);
        at = HEAD + WIDTH * stage;
    }

    double begin = item(frees, 0);
    if (begin > now) {
        double wait = begin - now;
        PUT_FLOAT(self, Use, wait_s, wait);
        PUT_FLOAT(server, FifoServer, wait_s, waited + wait);
        if (wait > longest) {
            PUT_FLOAT(server, FifoServer, max_wait_s, wait);
        }
        if (cells != NULL) {
            add_item(cells, at + WAIT, wait);
        }
    }
    else {
        begin = now;
        PUT(self, Use, wait_s, new_ref(zero_s));
    }
    double end = begin + seconds;
    set_item(frees, 0, end);
    PUT(server, FifoServer, n_jobs, PyLong_FromSsize_t(n_jobs + 1));
    add_item(busy, ACTIVE, seconds);
    add_item(energy, ACTIVE, joules);
    if (cells == NULL) {
        PUT_FLOAT(world, World, unowned_j, unowned + joules);
    }
    else {
        add_item(cells, at + SERVICE, seconds);
        add_item(cells, at + JOULES, joules);
    }
    Py_DECREF(ledger);
    PUT(self, Operation, waiter, new_ref(waiter));
    return push(world, PyFloat_FromDouble(end), self);
}

/* `Travel.start` */
static Outcome
travel_start(PyObject *self, PyObject *waiter)
{
    int is_first = waiter != self;
    PyObject *hops = GET(self, Travel, hops);
    Py_ssize_t at = 0, stage, n_jobs, base = 0;
    double size, now, down, free_s, hop_wait, longest, rate, hop_bytes, work, power, propagation;
    double unowned = 0.0, wait_s = 0.0, service_s = 0.0, own_j = 0.0, propagated = 0.0;
    if (hops == NULL || !PyTuple_CheckExact(hops) || !number(GET(self, Travel, size_bytes), &size)) {
        return NOT_PLAIN;
    }
    if (is_first) {
        if (!is_zero(GET(self, Operation, eid)) || !(0.0 <= size && size < INFINITY)) {
            return NOT_PLAIN;
        }
    }
    else if (!whole(GET(self, Travel, _at), &at) || GET(self, Travel, owner) == NULL ||
             !number(GET(self, Travel, wait_s), &wait_s) ||
             !number(GET(self, Travel, service_s), &service_s) ||
             !number(GET(self, Travel, joules), &own_j) ||
             !number(GET(self, Travel, propagation_s), &propagated)) {
        return NOT_PLAIN;
    }
    if (at < 0 || at >= PyTuple_GET_SIZE(hops)) {
        return NOT_PLAIN;
    }
    PyObject *hop = PyTuple_GET_ITEM(hops, at);
    if (!IS_A(hop, Hop) || GET(hop, Hop, line) != Py_None) {
        return NOT_PLAIN;
    }
    PyObject *channel = GET(hop, Hop, channel);
    if (!IS_A(channel, Channel) || !IS_A(GET(channel, Channel, world), World)) {
        return NOT_PLAIN;
    }
    PyObject *world = GET(channel, Channel, world);
    if (!number(GET(world, World, _now), &now) || !number(GET(hop, Hop, down_until_s), &down) ||
        down > now || !number(GET(channel, Channel, free_s), &free_s) ||
        !number(GET(channel, Channel, max_wait_s), &longest) ||
        !number(GET(hop, Hop, wait_s), &hop_wait) || !number(GET(hop, Hop, bit_per_s), &rate) ||
        !number(GET(hop, Hop, bytes), &hop_bytes) || !number(GET(hop, Hop, work_s), &work) ||
        !number(GET(hop, Hop, power_w), &power) || rate == 0.0 ||
        !number(GET(hop, Hop, propagation_s), &propagation) ||
        !whole(GET(hop, Hop, n_jobs), &n_jobs)) {
        return NOT_PLAIN;
    }
    PyObject *ledger = is_first ? account_of(waiter) : GET(self, Travel, ledger), *cells = NULL;
    if (ledger == NULL) {
        return is_first ? FAILED : NOT_PLAIN;
    }
    if (!is_first) {
        Py_INCREF(ledger);
    }
    int marks = 0;
    if (ledger == Py_None) {
        if (!number(GET(world, World, unowned_j), &unowned)) {
            Py_DECREF(ledger);
            return NOT_PLAIN;
        }
    }
    else {
        if (!IS_A(ledger, Ledger) || !whole(GET(self, Travel, stage), &stage) || stage < 0 ||
            !numbers_from(GET(ledger, Ledger, cells), 0, HEAD) ||
            !numbers_from(GET(ledger, Ledger, cells), HEAD + WIDTH * stage, WIDTH)) {
            Py_DECREF(ledger);
            return NOT_PLAIN;
        }
        cells = GET(ledger, Ledger, cells);
        base = HEAD + WIDTH * stage;
        marks = GET(self, Travel, marks) == Py_True;
        if (!marks && GET(self, Travel, marks) != Py_False) {
            Py_DECREF(ledger);
            return NOT_PLAIN;
        }
    }

    double wait = 0.0, begin = free_s;
    if (begin > now) {
        wait = begin - now;
        PUT_FLOAT(hop, Hop, wait_s, hop_wait + wait);
        if (wait > longest) {
            PUT_FLOAT(channel, Channel, max_wait_s, wait);
        }
    }
    else {
        begin = now;
    }
    double seconds = size * 8.0 / rate, end = begin + seconds, joules = power * seconds;
    PyObject *end_s = PyFloat_FromDouble(end);
    PUT_FLOAT(self, Travel, _seconds, seconds);
    PUT(channel, Channel, free_s, new_ref(end_s));
    PUT(self, Travel, _end_s, end_s);
    PUT(hop, Hop, n_jobs, PyLong_FromSsize_t(n_jobs + 1));
    PUT_FLOAT(hop, Hop, bytes, hop_bytes + size);
    PUT_FLOAT(hop, Hop, work_s, work + seconds);
    if (cells == NULL) {
        PUT_FLOAT(world, World, unowned_j, unowned + joules);
    }
    else {
        add_item(cells, PROPAGATION, propagation);
        if (wait != 0.0) {
            add_item(cells, base + WAIT, wait);
        }
        add_item(cells, base + SERVICE, seconds);
        add_item(cells, base + JOULES, joules);
        if (is_first) {
            add_item(cells, base + BYTES, size);
            if (marks) {
                set_item(cells, MARKED, 1.0);
            }
        }
    }
    if (is_first) {
        PUT(self, Travel, owner, new_ref(waiter));
        PUT(self, Travel, ledger, ledger);
        PUT_FLOAT(self, Travel, wait_s, wait);
        PUT_FLOAT(self, Travel, service_s, seconds);
        PUT_FLOAT(self, Travel, joules, joules);
        PUT_FLOAT(self, Travel, propagation_s, propagation);
    }
    else {
        Py_DECREF(ledger);
        PUT_FLOAT(self, Travel, wait_s, wait_s + wait);
        PUT_FLOAT(self, Travel, service_s, service_s + seconds);
        PUT_FLOAT(self, Travel, joules, own_j + joules);
        PUT_FLOAT(self, Travel, propagation_s, propagated + propagation);
    }
    at++;
    PUT(self, Travel, _at, PyLong_FromSsize_t(at));
    PyObject *next = at < PyTuple_GET_SIZE(hops) ? self : GET(self, Travel, owner);
    PUT(self, Operation, waiter, new_ref(next));
    return push(world, PyFloat_FromDouble(end + propagation), self);
}

/* `After.start` */
static Outcome
after_start(PyObject *self, PyObject *waiter)
{
    double now, seconds;
    if (!is_zero(GET(self, Operation, eid)) || !number(GET(self, After, seconds), &seconds) ||
        !(0.0 <= seconds && seconds < INFINITY) || !Py_IS_TYPE(waiter, t_Flow)) {
        return NOT_PLAIN;
    }
    PyObject *world = GET(waiter, Flow, world);
    if (!IS_A(world, World) || !number(GET(world, World, _now), &now)) {
        return NOT_PLAIN;
    }
    PUT(self, Operation, waiter, new_ref(waiter));
    return push(world, PyFloat_FromDouble(now + seconds), self);
}

/* The part of `Infer.start` before `Use.start`. */
static Outcome
look_up(PyObject *self, PyObject *waiter)
{
    PyObject *place = GET(self, Infer, place), *task = GET(self, Infer, task);
    if (!IS_A(place, Place) || task == NULL || GET(self, Infer, model) != Py_None) {
        return NOT_PLAIN;
    }
    PyObject *answers = GET(place, Place, answers);
    PyObject *is_cloud = GET(place, Place, is_cloud);
    if (answers == NULL || !Py_IS_TYPE(answers, t_Answers) ||
        (is_cloud != Py_True && is_cloud != Py_False)) {
        return NOT_PLAIN;
    }
    PyObject *sample = PyObject_GetAttr(task, n_sample_id);
    if (sample == NULL) {
        return FAILED;
    }
    PyObject *found = PyDict_GetItemWithError(answers, sample);
    if (found != NULL) {
        Py_INCREF(found);
    }
    else if (!PyErr_Occurred()) {
        found = PyObject_GetItem(answers, sample); /* `Answers.__missing__` */
    }
    Py_DECREF(sample);
    if (found == NULL) {
        return FAILED;
    }
    if (!PyTuple_CheckExact(found) || PyTuple_GET_SIZE(found) != 3) {
        Py_DECREF(found);
        return NOT_PLAIN;
    }
    PyObject *prediction = PyTuple_GET_ITEM(found, 0);
    PUT(self, Operation, value, new_ref(prediction));
    PUT(self, Use, seconds, new_ref(PyTuple_GET_ITEM(found, 1)));
    PUT(self, Use, joules, new_ref(PyTuple_GET_ITEM(found, 2)));
    Outcome outcome = DONE;
    if (is_cloud == Py_False) {
        PyObject *ledger = account_of(waiter), *entropy = NULL;
        if (ledger == NULL) {
            outcome = FAILED;
        }
        else if (IS_A(ledger, Account)) {
            PyObject *cells = GET(ledger, Ledger, cells);
            entropy = PyObject_GetAttr(prediction, n_normalized_entropy);
            if (entropy == NULL ||
                PyList_SetItem(cells, PyList_GET_SIZE(cells) - 1, entropy)) {
                outcome = FAILED;
            }
        }
        Py_XDECREF(ledger);
    }
    Py_DECREF(found);
    return outcome;
}

static Outcome
by_python(PyObject *method, PyObject *self, PyObject *argument)
{
    PyObject *arguments[] = {self, argument};
    PyObject *result = PyObject_Vectorcall(method, arguments, 2, NULL);
    Py_XDECREF(result);
    return result == NULL ? FAILED : DONE;
}

static PyObject * /* new */
by_python_with(PyObject *method, PyObject *self, PyObject *const *arguments, Py_ssize_t n,
               PyObject *names)
{
    PyObject *all[16];
    Py_ssize_t total = n + (names == NULL ? 0 : PyTuple_GET_SIZE(names));
    if (total > 15) {
        PyErr_SetString(PyExc_TypeError, "too many arguments");
        return NULL;
    }
    all[0] = self;
    for (Py_ssize_t i = 0; i < total; i++) {
        all[i + 1] = arguments[i];
    }
    return PyObject_Vectorcall(method, all, n + 1, names);
}

static Outcome
any_use_start(PyObject *self, PyObject *waiter)
{
    Outcome outcome = use_start(self, waiter);
    return outcome == NOT_PLAIN ? by_python(py_use_start, self, waiter) : outcome;
}

static Outcome
any_infer_start(PyObject *self, PyObject *waiter)
{
    Outcome outcome = look_up(self, waiter);
    if (outcome == NOT_PLAIN) {
        return by_python(py_infer_start, self, waiter);
    }
    return outcome == DONE ? any_use_start(self, waiter) : outcome;
}

static Outcome
any_travel_start(PyObject *self, PyObject *waiter)
{
    Outcome outcome = travel_start(self, waiter);
    return outcome == NOT_PLAIN ? by_python(py_travel_start, self, waiter) : outcome;
}

static Outcome
any_after_start(PyObject *self, PyObject *waiter)
{
    Outcome outcome = after_start(self, waiter);
    return outcome == NOT_PLAIN ? by_python(py_after_start, self, waiter) : outcome;
}

/* Flows --------------------------------------------------------------------------------------- */

static Outcome
call(PyObject *object, PyObject *name, PyObject *argument)
{
    PyObject *arguments[] = {object, argument};
    PyObject *result = PyObject_VectorcallMethod(name, arguments, argument == NULL ? 1 : 2, NULL);
    Py_XDECREF(result);
    return result == NULL ? FAILED : DONE;
}

/* What `except Exception as error: flow.METHOD(...)` does with the present error. */
static Outcome
handled(PyObject *flow, PyObject *name, PyObject *operation)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return FAILED;
    }
    PyObject *error = taken_error(), *result;
    if (operation == NULL) {
        result = PyObject_CallMethodOneArg(flow, name, error);
    }
    else {
        result = PyObject_CallMethodObjArgs(flow, name, operation, error, NULL);
    }
    Py_DECREF(error);
    Py_XDECREF(result);
    return result == NULL ? FAILED : DONE;
}

/* `Flow._finish` */
static Outcome
finish(PyObject *flow, PyObject *value)
{
    PUT(flow, Flow, value, new_ref(value));
    PUT(flow, Flow, _generator, new_ref(Py_None));
    PUT(flow, Flow, _operation, new_ref(Py_None));
    PyObject *waiter = GET(flow, Flow, _waiter);
    if (waiter != Py_None) {
        return call(waiter, n_wake, flow);
    }
    PyObject *world = GET(flow, Flow, world), *on_done = GET(flow, Flow, _on_done);
    Py_ssize_t n_done;
    if (!IS_A(world, World) || !whole(GET(world, World, n_done), &n_done)) {
        PyErr_SetString(PyExc_TypeError, "a flow without a world");
        return FAILED;
    }
    PUT(world, World, n_done, PyLong_FromSsize_t(n_done + 1));
    if (on_done == Py_None) {
        return DONE;
    }
    PyObject *result = PyObject_CallOneArg(on_done, flow);
    Py_XDECREF(result);
    return result == NULL ? FAILED : DONE;
}

static Outcome
start(PyObject *operation, PyObject *waiter)
{
    PyTypeObject *type = Py_TYPE(operation);
    if (type == t_Infer) {
        return any_infer_start(operation, waiter);
    }
    if (type == t_Message || type == t_Travel) {
        return any_travel_start(operation, waiter);
    }
    if (type == t_Use) {
        return any_use_start(operation, waiter);
    }
    if (type == t_After) {
        return any_after_start(operation, waiter);
    }
    return call(operation, n_start, waiter);
}

/* `Flow.wake` */
static Outcome
resume(PyObject *flow, PyObject *value)
{
    PyObject *generator = GET(flow, Flow, _generator), *given = NULL;
    PySendResult sent = PYGEN_ERROR;
    if (generator == NULL || generator == Py_None || value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "the flow has ended, or its operation has no value");
    }
    else {
        Py_INCREF(generator);
        Py_INCREF(value);
        sent = PyIter_Send(generator, value, &given);
        Py_DECREF(generator);
        Py_DECREF(value);
    }
    if (sent == PYGEN_ERROR) {
        return handled(flow, n__fail, NULL);
    }
    Outcome outcome;
    if (sent == PYGEN_RETURN) {
        outcome = finish(flow, given);
    }
    else {
        PUT(flow, Flow, _operation, new_ref(given));
        outcome = start(given, flow);
        if (outcome == FAILED) {
            outcome = handled(flow, n__refused, given);
        }
    }
    Py_DECREF(given);
    return outcome;
}

/* `World.spawn` */
static PyObject *
world_spawn(PyObject *world, PyObject *const *arguments, Py_ssize_t n, PyObject *names)
{
    Py_ssize_t n_spawned;
    if (names != NULL || n < 1 || n > 4 || !whole(GET(world, World, n_spawned), &n_spawned)) {
        return by_python_with(py_spawn, world, arguments, n, names);
    }
    PyObject *flow = blank(t_Flow), *number_ = PyLong_FromSsize_t(n_spawned + 1);
    if (flow == NULL || number_ == NULL) {
        Py_XDECREF(flow);
        Py_XDECREF(number_);
        return NULL;
    }
    PUT(world, World, n_spawned, new_ref(number_));
    PUT(flow, Flow, world, new_ref(world));
    PUT(flow, Flow, ledger, new_ref(n > 1 ? arguments[1] : Py_None));
    PUT(flow, Flow, id, number_);
    PUT(flow, Flow, item, new_ref(n > 3 ? arguments[3] : Py_None));
    PUT(flow, Flow, value, new_ref(Py_None));
    PUT(flow, Flow, _generator, new_ref(arguments[0]));
    PUT(flow, Flow, _on_done, new_ref(n > 2 ? arguments[2] : Py_None));
    PUT(flow, Flow, _operation, new_ref(Py_None));
    PUT(flow, Flow, _waiter, new_ref(Py_None));
    if (resume(flow, Py_None) == FAILED) {
        Py_DECREF(flow);
        return NULL;
    }
    return flow;
}

/* The loop ------------------------------------------------------------------------------------ */

/* Process an entry that has left the heap; `World._loop` from there on. */
static Outcome
process(PyObject *world, PyObject *time, PyObject *eid, PyObject *entry)
{
    PyObject *waiter, *live; /* new */
    if (PyObject_TypeCheck(entry, t_Operation)) {
        waiter = GET(entry, Operation, waiter);
        live = GET(entry, Operation, eid);
        Py_XINCREF(waiter);
        Py_XINCREF(live);
    }
    else {
        waiter = PyObject_GetAttr(entry, n_waiter);
        live = NULL;
        if (waiter == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
                return FAILED;
            }
            PyErr_Clear();
        }
    }
    if (waiter == NULL) { /* it is no operation */
        Py_XDECREF(live);
        PUT(world, World, _now, new_ref(time));
        return by_python(py_fire, entry, eid);
    }
    if (live == NULL) {
        live = PyObject_GetAttr(entry, n_eid);
    }
    int is_live = live == NULL ? -1 : live == eid ? 1 : PyObject_RichCompareBool(live, eid, Py_EQ);
    Py_XDECREF(live);
    Outcome outcome = DONE;
    if (is_live < 0) {
        outcome = FAILED;
    }
    else if (!is_live) {
        if (Py_IS_TYPE(waiter, t_Timers)) {
            outcome = call(waiter, n_advance, NULL);
        }
    }
    else {
        PUT(world, World, _now, new_ref(time));
        if (Py_IS_TYPE(waiter, t_Flow)) {
            outcome = resume(waiter, GET(entry, Operation, value));
        }
        else if (waiter == entry && (Py_IS_TYPE(entry, t_Message) || Py_IS_TYPE(entry, t_Travel))) {
            outcome = any_travel_start(entry, entry);
        }
        else {
            outcome = call(waiter, n_wake, entry);
        }
    }
    Py_DECREF(waiter);
    return outcome;
}

/* Let the next task arrive; `World._loop` from there on. */
static Outcome
arrive(PyObject *world, PyObject *time)
{
    PUT(world, World, _now, new_ref(time));
    PyObject *arrived = new_ref(GET(world, World, _arrival_item));
    PyObject *arrivals = GET(world, World, _arrivals);
    PyObject *following = Py_TYPE(arrivals)->tp_iternext(arrivals);
    double now = PyFloat_AsDouble(time), next_s;
    if (following == NULL) {
        if (PyErr_Occurred()) {
            if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
                Py_DECREF(arrived);
                return FAILED;
            }
            PyErr_Clear();
        }
        PUT_FLOAT(world, World, _arrival_s, INFINITY);
        PUT(world, World, _arrival_item, new_ref(Py_None));
    }
    else {
        PyObject *pair = PySequence_Fast(following, "an arrival is a pair of time and item");
        Py_DECREF(following);
        if (pair == NULL || PySequence_Fast_GET_SIZE(pair) != 2) {
            if (pair != NULL) {
                PyErr_SetString(PyExc_ValueError, "an arrival is a pair of time and item");
            }
            Py_XDECREF(pair);
            Py_DECREF(arrived);
            return FAILED;
        }
        PyObject *next = PySequence_Fast_GET_ITEM(pair, 0);
        PUT(world, World, _arrival_s, new_ref(next));
        PUT(world, World, _arrival_item, new_ref(PySequence_Fast_GET_ITEM(pair, 1)));
        next_s = PyFloat_AsDouble(next);
        if (!PyErr_Occurred() && !(now <= next_s && next_s < INFINITY)) {
            PyErr_Format(PyExc_ValueError, "arrival at %R s, after one at %R s", next, time);
        }
        Py_DECREF(pair);
        if (PyErr_Occurred()) {
            Py_DECREF(arrived);
            return FAILED;
        }
    }
    PyObject *on_arrival = new_ref(GET(world, World, _on_arrival));
    PyObject *result = PyObject_CallOneArg(on_arrival, arrived);
    Py_DECREF(on_arrival);
    Py_DECREF(arrived);
    Py_XDECREF(result);
    return result == NULL ? FAILED : DONE;
}

/* `World._loop` */
static PyObject *
world_loop(PyObject *world, PyObject *end_s)
{
    double end = PyFloat_AsDouble(end_s);
    if (end == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    PyObject *queue = GET(world, World, queue);
    if (queue == NULL || !PyList_CheckExact(queue)) {
        PyErr_SetString(PyExc_TypeError, "the heap is no list");
        return NULL;
    }
    for (;;) {
        PyObject *arrival = GET(world, World, _arrival_s);
        double arrival_s = PyFloat_AsDouble(arrival), t;
        if (PyList_GET_SIZE(queue)) {
            PyObject *first = PyList_GET_ITEM(queue, 0);
            if (!PyTuple_CheckExact(first) || PyTuple_GET_SIZE(first) != 4) {
                PyErr_SetString(PyExc_TypeError, "an entry of the heap has four parts");
                return NULL;
            }
            t = PyFloat_AsDouble(PyTuple_GET_ITEM(first, 0));
            if (PyErr_Occurred()) {
                return NULL;
            }
            if (t <= arrival_s) {
                if (t >= end) {
                    Py_RETURN_NONE;
                }
                PyObject *entry = pop(queue);
                if (entry == NULL) {
                    return NULL;
                }
                Outcome outcome = process(world, PyTuple_GET_ITEM(entry, 0),
                                          PyTuple_GET_ITEM(entry, 2), PyTuple_GET_ITEM(entry, 3));
                Py_DECREF(entry);
                if (outcome == FAILED) {
                    return NULL;
                }
                continue;
            }
        }
        if (arrival_s >= end) {
            Py_RETURN_NONE;
        }
        Py_INCREF(arrival);
        Outcome outcome = arrive(world, arrival);
        Py_DECREF(arrival);
        if (outcome == FAILED) {
            return NULL;
        }
    }
}

/* What strategies and arms call ---------------------------------------------------------------- */

/* Look up `getattr(self, name)[key]`; NULL without an error when it is not there. */
static PyObject * /* new */
look_in(PyObject *self, PyObject *name, PyObject *key)
{
    PyObject *table = PyObject_GetAttr(self, name), *found = NULL;
    if (table != NULL && PyDict_CheckExact(table)) {
        found = PyDict_GetItemWithError(table, key);
        Py_XINCREF(found);
    }
    Py_XDECREF(table);
    return found;
}

/* `Context.infer` */
static PyObject *
context_infer(PyObject *self, PyObject *const *arguments, Py_ssize_t n, PyObject *names)
{
    PyObject *place = NULL;
    if (names == NULL && n == 2) {
        place = look_in(self, n__places, arguments[0]);
    }
    if (!IS_A(place, Place) || !IS_A(GET(place, Place, inference), FifoServer) ||
        GET(place, Place, stage) == NULL) {
        Py_XDECREF(place);
        return PyErr_Occurred() ? NULL : by_python_with(py_infer, self, arguments, n, names);
    }
    PyObject *made = blank(t_Infer);
    if (made != NULL) {
        PUT(made, Operation, eid, new_ref(zero));
        PUT(made, Use, server, new_ref(GET(place, Place, inference)));
        PUT(made, Use, stage, new_ref(GET(place, Place, stage)));
        PUT(made, Infer, task, new_ref(arguments[1]));
        PUT(made, Infer, model, new_ref(Py_None));
        PUT(made, Infer, place, place);
        return made;
    }
    Py_DECREF(place);
    return NULL;
}

/* `Context.send` */
static PyObject *
context_send(PyObject *self, PyObject *const *arguments, Py_ssize_t n, PyObject *names)
{
    PyObject *way = NULL;
    if (names == NULL && n == 3) {
        PyObject *ends = PyTuple_Pack(2, arguments[0], arguments[1]);
        if (ends == NULL) {
            return NULL;
        }
        way = look_in(self, n__ways, ends);
        Py_DECREF(ends);
    }
    if (way == NULL || !PyTuple_CheckExact(way) || PyTuple_GET_SIZE(way) != 3) {
        Py_XDECREF(way);
        return PyErr_Occurred() ? NULL : by_python_with(py_send, self, arguments, n, names);
    }
    PyObject *made = blank(t_Message);
    if (made != NULL) {
        PUT(made, Operation, eid, new_ref(zero));
        PUT(made, Operation, value, new_ref(Py_None));
        PUT(made, Travel, hops, new_ref(PyTuple_GET_ITEM(way, 0)));
        PUT(made, Travel, size_bytes, new_ref(arguments[2]));
        PUT(made, Travel, stage, new_ref(PyTuple_GET_ITEM(way, 1)));
        PUT(made, Travel, marks, new_ref(PyTuple_GET_ITEM(way, 2)));
    }
    Py_DECREF(way);
    return made;
}

/* `Context.near` */
static PyObject *
context_near(PyObject *self, PyObject *const *arguments, Py_ssize_t n, PyObject *names)
{
    PyObject *found = NULL;
    if (names == NULL && n == 2) {
        PyObject *key = PyTuple_Pack(2, arguments[0], arguments[1]);
        if (key == NULL) {
            return NULL;
        }
        found = look_in(self, n__nearest, key);
        Py_DECREF(key);
    }
    if (found != NULL || PyErr_Occurred()) {
        return found;
    }
    return by_python_with(py_near, self, arguments, n, names);
}

/* `TaskRows.write`: here a row is packed at once. */
static PyObject *
rows_write(PyObject *self, PyObject *const *arguments, Py_ssize_t n, PyObject *names)
{
    enum { TASK_ID, NOW_S, ACCOUNT, STATUS, SOURCE, PREDICTED, N_ARGUMENTS };
    static const int tail[] = {TASK_ID, NOW_S, STATUS, SOURCE, PREDICTED};
    PyObject *account, *cells = NULL, *packed;
    if (names == NULL && n == N_ARGUMENTS && IS_A(arguments[ACCOUNT], Account)) {
        account = arguments[ACCOUNT];
        cells = GET(account, Ledger, cells);
    }
    if (cells == NULL || !PyList_CheckExact(cells) ||
        !numbers_from(cells, 0, PyList_GET_SIZE(cells))) {
        return by_python_with(py_write, self, arguments, n, names);
    }
    double last[5];
    for (int i = 0; i < 5; i++) {
        last[i] = PyFloat_AsDouble(arguments[tail[i]]);
        if (last[i] == -1.0 && PyErr_Occurred()) {
            return NULL;
        }
    }
    PyObject *chunk = PyObject_GetAttr(self, n__chunk_bytes);
    Py_ssize_t chunk_bytes = chunk == NULL ? -1 : PyLong_AsSsize_t(chunk);
    Py_XDECREF(chunk);
    packed = chunk_bytes < 0 ? NULL : PyObject_GetAttr(self, n__packed);
    if (packed == NULL) {
        return NULL;
    }
    Py_ssize_t n_cells = PyList_GET_SIZE(cells), width = 8 * (n_cells + 5);
    Py_ssize_t size = PyByteArray_CheckExact(packed) ? PyByteArray_GET_SIZE(packed) : -1;
    if (size < 0 || PyByteArray_Resize(packed, size + width)) {
        Py_DECREF(packed);
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError, "rows are packed into a bytearray");
        }
        return NULL;
    }
    char *row = PyByteArray_AS_STRING(packed) + size;
    Py_DECREF(packed);
    for (Py_ssize_t i = 0; i < n_cells; i++, row += 8) {
        double x = item(cells, i);
        memcpy(row, &x, 8);
    }
    memcpy(row, last, sizeof last);
    PUT(account, Ledger, is_closed, new_ref(Py_True));
    if (size + width >= chunk_bytes) {
        return PyObject_CallMethodNoArgs(self, n_flush);
    }
    Py_RETURN_NONE;
}

/* Give a new account; `Account()`. */
static PyObject * /* new */
new_account(void)
{
    PyObject *account = blank(t_Account);
    PyObject *cells = account == NULL ? NULL : PyList_GetSlice(no_cells, 0, PyList_GET_SIZE(no_cells));
    if (cells == NULL) {
        Py_XDECREF(account);
        return NULL;
    }
    PUT(account, Ledger, cells, cells);
    PUT(account, Ledger, is_closed, new_ref(Py_False));
    return account;
}

/* Give `self.NAME` for several names; 0 and none of them where one is missing. */
static int
attributes(PyObject *self, PyObject **const names[], PyObject **found, int n)
{
    for (int i = 0; i < n; i++) {
        found[i] = PyObject_GetAttr(self, *names[i]);
        if (found[i] == NULL) {
            while (i-- > 0) {
                Py_DECREF(found[i]);
            }
            return 0;
        }
    }
    return 1;
}

static void
release(PyObject **objects, int n)
{
    for (int i = 0; i < n; i++) {
        Py_DECREF(objects[i]);
    }
}

/* `Arm._arrive` */
static PyObject *
arm_arrive(PyObject *self, PyObject *task)
{
    enum { ROWS, OPEN, STRATEGY, CONTEXT, WORLD, ON_DONE, N_FOUND };
    static PyObject **const names[] = {&n__rows, &n__open, &n__strategy, &n__context, &n__world,
                                       &n__on_done};
    PyObject *found[N_FOUND], *flow = NULL;
    if (!PyTuple_Check(task) || PyTuple_GET_SIZE(task) < 1 || no_cells == NULL) {
        return PyObject_CallFunctionObjArgs(py_arrive, self, task, NULL);
    }
    if (!attributes(self, names, found, N_FOUND)) {
        return NULL;
    }
    PyObject *account = new_account(), *arrived = PyObject_GetAttr(found[ROWS], n_n_arrived);
    PyObject *next = arrived == NULL ? NULL : PyNumber_Add(arrived, one);
    if (account != NULL && next != NULL && !PyObject_SetAttr(found[ROWS], n_n_arrived, next) &&
        !PyObject_SetItem(found[OPEN], PyTuple_GET_ITEM(task, 0), account)) {
        PyObject *with[] = {found[STRATEGY], task, found[CONTEXT]};
        PyObject *serving = PyObject_VectorcallMethod(n_serve, with, 3, NULL);
        if (serving != NULL) {
            PyObject *given[] = {serving, account, found[ON_DONE], task};
            if (IS_A(found[WORLD], World)) {
                flow = world_spawn(found[WORLD], given, 4, NULL);
            }
            else {
                PyErr_SetString(PyExc_TypeError, "an arm has a world");
            }
            Py_DECREF(serving);
        }
    }
    Py_XDECREF(account);
    Py_XDECREF(arrived);
    Py_XDECREF(next);
    release(found, N_FOUND);
    return flow;
}

/* Give the number of what an answer comes from, as `Arm._answered` looks it up; NULL without an
 * error where Python must see. */
static PyObject * /* new */
source_of(PyObject *sources, PyObject *answer)
{
    if (!Py_IS_TYPE(answer, t_Answer) || PyTuple_GET_SIZE(answer) != 3) {
        return NULL;
    }
    PyObject *by = PyTuple_GET_ITEM(answer, 2);
    if (!Py_IS_TYPE(by, t_Prediction) || GET(by, Prediction, label) == NULL ||
        GET(by, Prediction, model) == NULL || GET(by, Prediction, exit) == NULL) {
        return NULL;
    }
    int is_own = PyObject_RichCompareBool(PyTuple_GET_ITEM(answer, 0), GET(by, Prediction, label), Py_EQ);
    if (is_own != 1) {
        return NULL;
    }
    PyObject *version = PyObject_GetAttr(GET(by, Prediction, model), n_key);
    if (version == NULL) {
        return NULL;
    }
    PyObject *key = PyTuple_Pack(3, PyTuple_GET_ITEM(answer, 1), version, GET(by, Prediction, exit));
    Py_DECREF(version);
    PyObject *source = key == NULL ? NULL : PyDict_GetItemWithError(sources, key);
    Py_XINCREF(source);
    Py_XDECREF(key);
    return source;
}

/* `Arm._answered` */
static PyObject *
arm_answered(PyObject *self, PyObject *flow)
{
    enum { ROWS, OPEN, SOURCES, WORLD, MORTALS, TRACING, N_FOUND };
    static PyObject **const names[] = {&n__rows, &n__open, &n__sources, &n__world,
                                       &n__has_mortals, &n__tracing};
    PyObject *found[N_FOUND], *source = NULL, *result = NULL, *account;
    PyObject *task = IS_A(flow, Flow) ? GET(flow, Flow, item) : NULL;
    if (task == NULL || !PyTuple_Check(task) || PyTuple_GET_SIZE(task) < 1 ||
        GET(flow, Flow, value) == NULL) {
        return PyObject_CallFunctionObjArgs(py_answered, self, flow, NULL);
    }
    if (!attributes(self, names, found, N_FOUND)) {
        return NULL;
    }
    if (found[MORTALS] == Py_False && found[TRACING] == Py_None && IS_A(found[WORLD], World) &&
        PyDict_CheckExact(found[OPEN]) && PyDict_CheckExact(found[SOURCES])) {
        source = source_of(found[SOURCES], GET(flow, Flow, value));
    }
    account = source == NULL ? NULL : PyDict_GetItemWithError(found[OPEN], PyTuple_GET_ITEM(task, 0));
    Py_XINCREF(account);
    if (account == NULL) {
        if (!PyErr_Occurred()) {
            result = PyObject_CallFunctionObjArgs(py_answered, self, flow, NULL);
        }
    }
    else if (!PyDict_DelItem(found[OPEN], PyTuple_GET_ITEM(task, 0))) {
        PyObject *answer = GET(flow, Flow, value);
        PyObject *row[] = {found[ROWS], PyTuple_GET_ITEM(task, 0), GET(found[WORLD], World, _now),
                           account, zero, source, PyTuple_GET_ITEM(answer, 0)};
        if (Py_IS_TYPE(found[ROWS], t_TaskRows)) {
            result = rows_write(found[ROWS], row + 1, 6, NULL);
        }
        else {
            result = PyObject_VectorcallMethod(n_write, row, 7, NULL);
        }
    }
    Py_XDECREF(account);
    Py_XDECREF(source);
    release(found, N_FOUND);
    return result;
}

/* `Answer(label, at=..., by=...)`, without the function in Python that named tuples have. */
static PyObject *
make_answer(PyObject *type, PyObject *const *arguments, size_t nf, PyObject *names)
{
    Py_ssize_t n = PyVectorcall_NARGS(nf), n_names = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    PyObject *fields[3] = {NULL, NULL, NULL};
    PyObject *const wanted[] = {n_label, n_at, n_by};
    int is_plain = n + n_names == 3;
    for (Py_ssize_t i = 0; is_plain && i < 3; i++) {
        Py_ssize_t at = i;
        if (i >= n) {
            for (at = n; at < 3 && PyTuple_GET_ITEM(names, i - n) != wanted[at]; at++) {
            }
        }
        is_plain = at < 3 && fields[at] == NULL;
        if (is_plain) {
            fields[at] = arguments[i];
        }
    }
    if (!is_plain) { /* the usual way; it says what is wrong */
        PyObject *positional = PyTuple_New(n), *named = PyDict_New(), *made = NULL;
        int failed = positional == NULL || named == NULL;
        for (Py_ssize_t i = 0; !failed && i < n; i++) {
            PyTuple_SET_ITEM(positional, i, new_ref(arguments[i]));
        }
        for (Py_ssize_t i = 0; !failed && i < n_names; i++) {
            failed = PyDict_SetItem(named, PyTuple_GET_ITEM(names, i), arguments[n + i]);
        }
        if (!failed) {
            made = PyType_Type.tp_call(type, positional, named);
        }
        Py_XDECREF(positional);
        Py_XDECREF(named);
        return made;
    }
    PyObject *made = ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 3);
    for (Py_ssize_t i = 0; made != NULL && i < 3; i++) {
        PyTuple_SET_ITEM(made, i, new_ref(fields[i]));
    }
    return made;
}

#define START(name) \
    static PyObject *name##_start_method(PyObject *self, PyObject *waiter) \
    { \
        if (any_##name##_start(self, waiter) == FAILED) { \
            return NULL; \
        } \
        Py_RETURN_NONE; \
    }
START(use)
START(travel)
START(after)
START(infer)

/* Binding --------------------------------------------------------------------------------------- */

#define FAST (METH_FASTCALL | METH_KEYWORDS)
#define FUNCTION(f) ((PyCFunction)(void (*)(void))f)

static struct {
    const char *type;
    PyMethodDef definition;
    PyObject **python;
} methods[] = {
    {"World", {"_loop", world_loop, METH_O, NULL}, NULL},
    {"World", {"spawn", FUNCTION(world_spawn), FAST, NULL}, &py_spawn},
    {"Use", {"start", use_start_method, METH_O, NULL}, &py_use_start},
    {"Travel", {"start", travel_start_method, METH_O, NULL}, &py_travel_start},
    {"After", {"start", after_start_method, METH_O, NULL}, &py_after_start},
    {"Infer", {"start", infer_start_method, METH_O, NULL}, &py_infer_start},
    {"Context", {"infer", FUNCTION(context_infer), FAST, NULL}, &py_infer},
    {"Context", {"send", FUNCTION(context_send), FAST, NULL}, &py_send},
    {"Context", {"near", FUNCTION(context_near), FAST, NULL}, &py_near},
    {"TaskRows", {"write", FUNCTION(rows_write), FAST, NULL}, &py_write},
    {"Arm", {"_arrive", arm_arrive, METH_O, NULL}, &py_arrive},
    {"Arm", {"_answered", arm_answered, METH_O, NULL}, &py_answered},
};

#define CLASS_ROW(name) {#name, &t_##name},
static struct {
    const char *name;
    PyTypeObject **type;
} classes[] = {CLASSES(CLASS_ROW)};

#define SLOT_ROW(type, name) {#type, #name, &at_##type##_##name},
static struct {
    const char *type, *name;
    Py_ssize_t *offset;
} slots[] = {SLOTS(SLOT_ROW)};

#define LENGTH(table) ((Py_ssize_t)(sizeof(table) / sizeof((table)[0])))

static int
find_slots(PyTypeObject *type, const char *type_name)
{
    for (Py_ssize_t i = 0; i < LENGTH(slots); i++) {
        if (strcmp(slots[i].type, type_name)) {
            continue;
        }
        PyObject *member = PyObject_GetAttrString((PyObject *)type, slots[i].name);
        if (member == NULL) {
            return -1;
        }
        int is_slot = Py_IS_TYPE(member, &PyMemberDescr_Type);
        if (is_slot) {
            *slots[i].offset = ((PyMemberDescrObject *)member)->d_member->offset;
        }
        Py_DECREF(member);
        if (!is_slot) {
            PyErr_Format(PyExc_TypeError, "%s.%s is no slot", type_name, slots[i].name);
            return -1;
        }
    }
    return 0;
}

static int
replace_methods(PyTypeObject *type, const char *type_name)
{
    for (Py_ssize_t i = 0; i < LENGTH(methods); i++) {
        PyMethodDef *definition = &methods[i].definition;
        if (strcmp(methods[i].type, type_name)) {
            continue;
        }
        PyObject *python = PyObject_GetAttrString((PyObject *)type, definition->ml_name);
        PyObject *twin = PyDescr_NewMethod(type, definition);
        if (python == NULL || twin == NULL ||
            PyObject_SetAttrString((PyObject *)type, definition->ml_name, twin)) {
            Py_XDECREF(python);
            Py_XDECREF(twin);
            return -1;
        }
        Py_DECREF(twin);
        if (methods[i].python != NULL) {
            put(methods[i].python, python);
        }
        else {
            Py_DECREF(python);
        }
    }
    return 0;
}

/* Take classes, found by their names, one or all of them: first where their slots are, then what
 * they do. */
static PyObject *
bind(PyObject *module, PyObject *given)
{
    PyObject *list = PySequence_Fast(given, "bind takes classes");
    if (list == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        PyObject *type = PySequence_Fast_GET_ITEM(list, i);
        if (!PyType_Check(type)) {
            put(&py_fire, new_ref(type));
            continue;
        }
        PyObject *name = PyObject_GetAttrString(type, "__name__");
        const char *text = name == NULL ? NULL : PyUnicode_AsUTF8(name);
        int failed = text == NULL;
        for (Py_ssize_t k = 0; !failed && k < LENGTH(classes); k++) {
            if (!strcmp(classes[k].name, text)) {
                put((PyObject **)classes[k].type, new_ref(type));
                failed = find_slots((PyTypeObject *)type, text) ||
                         replace_methods((PyTypeObject *)type, text);
            }
        }
        Py_XDECREF(name);
        if (!failed && type == (PyObject *)t_Account) {
            PyObject *account = PyObject_CallNoArgs(type);
            if (account != NULL) {
                put(&no_cells, new_ref(GET(account, Ledger, cells)));
                Py_DECREF(account);
            }
            failed = account == NULL;
        }
        if (!failed && type == (PyObject *)t_Answer) {
            t_Answer->tp_vectorcall = make_answer;
        }
        if (failed) {
            Py_DECREF(list);
            return NULL;
        }
    }
    Py_DECREF(list);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"bind", bind, METH_O, "Take classes whose methods have twins here."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_compiled", "The plain way of a task in C.", -1, functions,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__compiled(void)
{
#define INTERN(name) n_##name = PyUnicode_InternFromString(#name);
    NAMES(INTERN)
    zero = PyLong_FromLong(0);
    one = PyLong_FromLong(1);
    zero_s = PyFloat_FromDouble(0.0);
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddStringConstant(module, "sources", ECSIM_SOURCES)) {
        Py_CLEAR(module);
    }
    return module;
}
