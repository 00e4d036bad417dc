/* Operations: twins of the `start` of `Use`, `Travel`, `After` and `Infer`. */
#include "heap.h"

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
