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
#include "tasks.h"

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
