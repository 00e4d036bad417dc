/* The loop: `World._loop`. */
#include "flows.h"

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
