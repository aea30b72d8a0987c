/* The program of a boot image: Python, with what the image has and nothing else, and netapp.native.main in it.
 * It begins here as a Linux process, and on bare metal as well: the kernel of the image ends in the C library's _start. */
#include <stdio.h>
#include <Python.h>

#include "../kernel/kernel.h"

/* frozen.c: the modules of the image that are Python. */
extern const struct _frozen netapp_frozen[];

static PyStatus configure(PyConfig *config, int argc, char **argv)
{
    PyStatus status;
    PyConfig_InitIsolatedConfig(config);
    config->site_import = 0;
    config->write_bytecode = 0;
    config->parse_argv = 0;
    config->install_signal_handlers = 1;
    /* With all of these set, Python looks for nothing in a file system that may not be there. */
    config->module_search_paths_set = 1;
    const struct { wchar_t **place; const wchar_t *text; } texts[] = {
        {&config->program_name, L"netapp"},
        {&config->executable, L"netapp"},
        {&config->base_executable, L"netapp"},
        {&config->home, L""},
        {&config->prefix, L""},
        {&config->exec_prefix, L""},
        {&config->base_prefix, L""},
        {&config->base_exec_prefix, L""},
        {&config->stdlib_dir, L""},
        {&config->platlibdir, L""},
        {&config->filesystem_encoding, L"utf-8"},
        {&config->filesystem_errors, L"surrogateescape"},
        {&config->stdio_encoding, L"utf-8"},
        {&config->stdio_errors, L"backslashreplace"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        status = PyConfig_SetString(config, texts[i].place, texts[i].text);
        if (PyStatus_Exception(status)) {
            return status;
        }
    }
    status = PyConfig_SetBytesArgv(config, argc, argv);
    if (PyStatus_Exception(status)) {
        return status;
    }
    return Py_InitializeFromConfig(config);
}

/* After prepare() there is another machine, with its own command line, which resume() is told. -1: an exception. */
static int freeze(PyObject *module)
{
    PyObject *result = PyObject_CallMethod(module, "prepare", NULL);
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    netapp_freeze();
    char **words;
    int count = netapp_arguments(&words);
    PyObject *list = PyList_New(0);
    for (int i = 0; list != NULL && i < count; i++) {
        PyObject *word = PyUnicode_DecodeFSDefault(words[i]);
        if (word == NULL || PyList_Append(list, word) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(word);
    }
    result = list == NULL ? NULL : PyObject_CallMethod(module, "resume", "N", list);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* The status that main(), of netapp.native.main, returns or raises. */
static int run(void)
{
    int status = 1;
    PyObject *result = NULL;
    PyObject *module = PyImport_ImportModule("netapp.native.importer");
    if (module != NULL) {
        Py_DECREF(module);
        module = PyImport_ImportModule("netapp.native.main");
    }
    if (module != NULL) {
        if (!netapp_native() || !netapp_snapshot_wanted() || freeze(module) == 0) {
            result = PyObject_CallMethod(module, "main", NULL);
        }
        Py_DECREF(module);
    }
    if (result != NULL) {
        status = (int)PyLong_AsLong(result);
        Py_DECREF(result);
    }
    if (PyErr_Occurred()) {
        PyErr_Print();  /* of SystemExit it makes the end */
        status = 1;
    }
    return status;
}

int main(int argc, char **argv)
{
    PyPreConfig before;
    PyConfig config;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    before.configure_locale = 0;
    PyImport_FrozenModules = netapp_frozen;
    PyStatus status = Py_PreInitialize(&before);
    if (!PyStatus_Exception(status)) {
        status = configure(&config, argc, argv);
    }
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
    PyConfig_Clear(&config);
    PyGC_Disable();  /* looks at everything again and again while modules are imported; a loop that idles collects */
    int ended = run();
    if (Py_FinalizeEx() < 0 && ended == 0) {
        ended = 1;
    }
    return ended;
}
