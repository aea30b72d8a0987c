"""Which of CPython's test modules are run, and why the others are not."""

from __future__ import annotations

# Those of `make test`: what appliances do most, in half a minute.
SHORT = tuple(
    """
    test_binascii test_bool test_complex test_copy test_dict test_enumerate test_float test_generators test_int
    test_json.test_decode test_json.test_dump test_json.test_fail test_operator test_reprlib test_slice test_types
    test_unpack test_userdict test_zlib
    """.split()
)

# The language.
_LANGUAGE = """
    test___future__ test_abc test_abstract_numbers test_asyncgen test_augassign test_baseexception test_binop
    test_bool test_buffer test_builtin test_bytes test_class test_code test_codeop test_compare test_compile
    test_complex test_contains test_coroutines test_decorators test_defaultdict test_deque test_descr test_descrtut
    test_dict test_dictcomps test_dictviews test_dis test_dynamic test_dynamicclassattribute test_enumerate test_eof
    test_except_star test_exception_group test_exception_hierarchy test_exception_variations test_exceptions
    test_extcall test_finalization test_float test_flufl test_format test_frame test_frozen test_fstring
    test_funcattrs test_future test_future3 test_future4 test_future5 test_gc test_generator_stop test_generators
    test_genericalias test_genericclass test_genexps test_global test_grammar test_hash test_index test_int
    test_int_literal test_isinstance test_iter test_iterlen test_keyword test_keywordonlyarg test_list
    test_listcomps test_long test_longexp test_marshal test_memoryview test_metaclass test_module
    test_named_expressions test_numeric_tower test_opcache test_opcodes test_patma test_peepholer test_pep646_syntax
    test_positional_only_arg test_pow test_print test_property test_raise test_range test_richcmp test_scope
    test_set test_setcomps test_slice test_sort test_source_encoding test_string_literals test_strtod test_structseq
    test_subclassinit test_super test_symtable test_syntax test_sys test_sys_setprofile test_sys_settrace
    test_traceback test_tuple test_type_annotations test_type_comments test_typechecks test_types test_ucn
    test_unary test_unicode test_unicode_identifiers test_univnewlines test_unpack test_unpack_ex test_userdict
    test_userlist test_userstring test_utf8source test_weakref test_weakset test_with test_yield_from
"""

# Modules in C and in Python of the standard library.
_LIBRARY = """
    test__opcode test_argparse test_array test_ast test_base64 test_binascii test_bisect test_calendar
    test_charmapcodec test_cmath test_code_module test_codeccallbacks test_codecs test_collections test_colorsys
    test_configparser test_context test_contextlib test_contextlib_async test_copy test_copyreg test_csv
    test_dataclasses test_datetime test_decimal test_difflib test_doctest test_doctest2
    test_email.test__header_value_parser test_email.test_headerregistry test_email.test_message
    test_email.test_utils test_enum test_errno test_fileinput test_fnmatch test_fractions test_functools test_getopt
    test_getpass test_graphlib test_hashlib test_heapq test_hmac test_html test_htmlparser test_http_cookiejar
    test_http_cookies test_httplib test_inspect test_io test_ipaddress test_itertools test_json.test_decode
    test_json.test_default test_json.test_dump test_json.test_encode_basestring_ascii test_json.test_enum
    test_json.test_fail test_json.test_float test_json.test_indent test_json.test_pass1 test_json.test_pass2
    test_json.test_pass3 test_json.test_recursion test_json.test_scanstring test_json.test_separators
    test_json.test_speedups test_json.test_unicode test_linecache test_locale test_logging test_mailbox test_math
    test_memoryio test_mimetypes test_minidom test_nntplib test_ntpath test_operator test_optparse test_ordered_dict
    test_pathlib test_pickle test_picklebuffer test_pickletools test_pkgutil test_platform test_plistlib
    test_posixpath test_pprint test_pulldom test_pydoc test_pyexpat test_queue test_quopri test_random test_re
    test_reprlib test_rlcompleter test_robotparser test_sched test_script_helper test_secrets test_select
    test_shelve test_shlex test_signal test_stat test_statistics test_strftime test_string test_stringprep
    test_strptime test_struct test_sysconfig test_textwrap test_thread test_threading test_threading_local test_time
    test_timeit test_tokenize test_trace test_typing test_unicodedata test_unparse test_urllib test_urllib2
    test_urlparse test_uuid test_warnings test_wave test_webbrowser test_wsgiref test_xml_dom_minicompat
    test_xml_etree test_xmlrpc test_zlib
"""

# Each takes as long on the bare machine as some others together.
LONG = tuple(
    """
    test_pickle test_statistics test_itertools test_sys test_ast test_set test_pickletools test_io test_math
    """.split()
)

MODULES = tuple(sorted({*_LANGUAGE.split(), *_LIBRARY.split()}))

LEFT_OUT = {
    "files are what they are about": """
        test_aifc test_bufio test_cgi test_cmd_line_script test_compileall test_dbm test_dbm_dumb test_dbm_gnu
        test_dbm_ndbm test_file test_filecmp test_fileio test_fileutils test_genericpath test_getpath
        test_gettext test_glob test_grp test_gzip test_imghdr test_imp test_import test_importlib test_largefile
        test_mailcap test_modulefinder test_netrc test_openpty test_os test_pkg test_posix test_pstats test_pwd
        test_py_compile test_pyclbr test_runpy test_sax test_shutil test_site test_sndhdr test_spwd test_sunau
        test_tabnanny test_tarfile test_tempfile test_threadedtempfile test_unicode_file
        test_unicode_file_functions test_unittest test_uu test_venv test_zipapp test_zipfile test_zipfile64
        test_zipimport test_zipimport_support test_zoneinfo
    """,
    "processes or terminals are": """
        test_atexit test_audit test_bdb test_c_locale_coercion test_cgitb test_cmd test_cmd_line test_cppext
        test_cprofile test_crashers test_curses test_devpoll test_distutils test_dtrace test_eintr test_embed
        test_ensurepip test_epoll test_faulthandler test_fcntl test_file_eintr test_fork1 test_gdb test_ioctl
        test_kqueue test_lltrace test_multiprocessing_fork test_multiprocessing_forkserver
        test_multiprocessing_main_handling test_multiprocessing_spawn test_pdb test_pipes test_poll test_popen
        test_profile test_pty test_readline test_regrtest test_repl test_selectors test_subprocess test_syslog
        test_threadsignals test_tracemalloc test_utf8_mode test_wait3 test_wait4
    """,
    "threads are": """
        test__xxsubinterpreters test_concurrent_futures test_interpreters
    """,
    "sockets or the Internet are": """
        test_asynchat test_asyncio test_asyncore test_docxmlrpc test_ftplib test_httpservers test_imaplib
        test_poplib test_smtpd test_smtplib test_smtpnet test_socket test_socketserver test_ssl test_telnetlib
        test_timeout test_urllib2_localnet test_urllib2net test_urllib_response test_urllibnet test_xmlrpc_net
    """,
    "a module that Python's static library has not": """
        test_audioop test_bigaddrspace test_bz2 test_call test_codecencodings_cn test_codecencodings_hk
        test_codecencodings_iso2022 test_codecencodings_jp test_codecencodings_kr test_codecencodings_tw
        test_codecmaps_cn test_codecmaps_hk test_codecmaps_jp test_codecmaps_kr test_codecmaps_tw test_crypt
        test_ctypes test_dict_version test_lzma test_mmap test_multibytecodec test_nis test_ossaudiodev
        test_resource test_stable_abi_ctypes test_type_cache test_xml_etree_c test_xxlimited test_xxtestfuzz
    """,
    "windows, another system, or Python's own making": """
        test___all__ test__locale test__osx_support test_asdl_parser test_bigmem test_check_c_globals
        test_clinic test_idle test_launcher test_lib2to3 test_msilib test_osx_env test_peg_generator
        test_startfile test_sundry test_tcl test_tix test_tk test_tools test_ttk_guionly test_ttk_textonly
        test_turtle test_winconsoleio test_winreg test_winsound test_xdrlib
    """,
}
