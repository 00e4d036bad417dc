/* What strategies and arms call: `Context`, `Answer`, `Arm`, `TaskRows`. */
#include "loop.h"

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
