/* What the classes look like to C: where slots lie, and how they, floats and lists are read. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <math.h>

#if defined(Py_GIL_DISABLED) || defined(PYPY_VERSION)
#error "the twins count on CPython's slots and on its global interpreter lock"
#endif

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
