/* The module _contextvars, which Python has in C and Debian's static library does not: names for what the interpreter
 * has anyhow. The modules contextvars, decimal and asyncio import it. */
#include <Python.h>

static PyObject *copy_context(PyObject *module, PyObject *none)
{
    return PyContext_CopyCurrent();
}

static int add_types(PyObject *module)
{
    PyTypeObject *const types[] = {&PyContext_Type, &PyContextVar_Type, &PyContextToken_Type};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (PyModule_AddType(module, types[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

PyMODINIT_FUNC PyInit__contextvars(void)
{
    static PyMethodDef methods[] = {{"copy_context", copy_context, METH_NOARGS, NULL}, {0}};
    static PyModuleDef_Slot slots[] = {{Py_mod_exec, add_types}, {0}};
    static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_contextvars", NULL, 0, methods, slots};
    return PyModuleDef_Init(&definition);
}
