/* The heap of (time, priority, id, entry): `heapq` with a short cut for unequal times. */
#include "slots.h"

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
