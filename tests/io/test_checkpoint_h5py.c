/* io/checkpoint as other programs see it: h5py, hashlib, h5dump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/wait.h>

#include "tests/io/checkpoint_sample.h"
#define FOLDER_FILE "run.h5"
#include "tests/io/folder_fixture.h"

/* h5py reads the same values, and hashlib the same digest. */
static const char python[] =
    "import sys, hashlib\n"
    "try:\n"
    "    import h5py, numpy\n"
    "except ImportError:\n"
    "    sys.exit(77)\n"
    "f = h5py.File(sys.argv[1], 'r')\n"
    "word = {'<f4': 'f32', '<f8': 'f64', '<i4': 'i32', '<i8': 'i64',\n"
    "        '|u1': 'u8'}\n"
    "def kind(t):\n"
    "    if t.names:\n"
    "        return '{' + ','.join(n + ':' + kind(t[n])\n"
    "                              for n in t.names) + '}'\n"
    "    return word.get(t.str) or 's%d' % t.itemsize\n"
    "def sha(b):\n"
    "    m = 1 << 20\n"
    "    h = lambda x: hashlib.sha256(x)\n"
    "    if 0 < len(b) <= m:\n"
    "        return h(b).hexdigest()\n"
    "    return h(b''.join(h(b[i:i + m]).digest()\n"
    "                      for i in range(0, len(b), m))).hexdigest()\n"
    "lines = []\n"
    "def item(path, attr, o, dtype, shape):\n"
    "    a = numpy.zeros(shape, dtype)\n"
    "    if a.size:\n"
    "        if attr:\n"
    "            o.read(a)\n"
    "        else:\n"
    "            o.id.read(h5py.h5s.ALL, h5py.h5s.ALL, a, o.id.get_type())\n"
    "    lines.append(('%s\\t%s\\t%s\\t(%s)\\t%s\\n' % (path, attr,\n"
    "        kind(dtype), ','.join(map(str, shape)),\n"
    "        sha(a.tobytes()))).encode())\n"
    "def visit(name, o):\n"
    "    for k in o.attrs:\n"
    "        a = o.attrs.get_id(k)\n"
    "        if k != 'content_digest':\n"
    "            item(o.name, k, a, a.dtype, a.shape)\n"
    "    if isinstance(o, h5py.Dataset):\n"
    "        item(o.name, '', o, o.dtype, o.shape)\n"
    "visit('/', f)\n"
    "f.visititems(visit)\n"
    "digest = hashlib.sha256(b''.join(sorted(lines))).hexdigest()\n"
    "assert digest.encode() == f.attrs['content_digest']\n"
    "if 'history' in f:\n"
    "    t = f['history']\n"
    "    assert t.dtype.names == ('round', 'loss (mean)', 'silo/who')\n"
    "    assert list(t['round']) == [2 + i for i in range(25)]\n"
    "    assert t['silo/who'][2].decode() == 's\\u00fcd-2-2'\n"
    "    assert f['data/names'].asstr()[2] == 's\\u00fcd-2-2'\n"
    "    assert f['job'][()] == b'a b-2-3'\n"
    "    assert f['model/scale'].attrs['unit'] == b'mmol/l'\n"
    "    assert f['model/params/dense1/weight'].shape == (20, 30)\n"
    "    assert f['model/scale'].shape == ()\n"
    "    assert list(f['data']) == ['image', 'none', 'empty', 'names',\n"
    "                               'nobody']\n";

static void run_python(const char *script)
{
    char *command = cv_asprintf("/usr/bin/python3 %s %s", script, file);
    int rc = system(command);
    free(command);
    if (WIFEXITED(rc) && (WEXITSTATUS(rc) == 77 || WEXITSTATUS(rc) == 127)) {
        print_message("no h5py: skipped\n");
        skip();
    }
    assert_int_equal(rc, 0);
}

static void test_h5py(void **state)
{
    (void)state;
    char *script = cv_fs_join(root, "check.py");
    OK(cv_fs_write(script, python, sizeof python - 1, 0644, &err));
    OK(sample_write(file, 2, &err));
    run_python(script);
    /* And an array of several blocks. */
    int64_t n = 700000;
    float *x = CV_NEW(n, float);
    cv_h5_writer *w = NULL;
    x[n - 1] = 1;
    OK(cv_h5_create(file, 0644, &w, &err));
    OK(cv_h5_attr_i64(w, "/", "format_version", 1, &err));
    OK(cv_h5_put(w, "/x", CV_H5_F32, 1, &n, x, NULL, NULL, &err));
    OK(cv_h5_commit(&w, &err));
    run_python(script);
    free(x);
    free(script);
}

static void test_h5dump(void **state)
{
    (void)state;
    OK(sample_write(file, 2, &err));
    char *command = cv_asprintf("h5dump %s > %s/dump", file, root);
    int rc = system(command);
    free(command);
    if (WIFEXITED(rc) && WEXITSTATUS(rc) == 127) {
        print_message("no h5dump: skipped\n");
        skip();
    }
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_h5py),
        cmocka_unit_test(test_h5dump),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
