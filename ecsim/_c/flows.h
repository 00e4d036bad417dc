/* Flows: `Flow.wake` and `World.spawn`. */
#include "operations.h"

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
