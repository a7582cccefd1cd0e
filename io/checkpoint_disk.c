/* How HDF5 reaches the disk: a driver that remembers the first failed write and
 * tells HDF5 that all is well.
 *
 * HDF5 1.10 does not survive a write that fails in H5Fclose: a full disk then
 * ends in a crash at exit (H5F__close_cb) instead of a message. The writer asks
 * for the remembered error after every step, and never commits a file that has
 * one. The driver also writes through the descriptor that made the file, so
 * nobody can slip in another file between making and opening it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "io/checkpoint_writer.h"

#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

typedef struct {
    H5FD_t head; /* HDF5's part, first */
    cv_h5_disk *disk;
    haddr_t allocated; /* "end of address space" */
    haddr_t written;   /* end of what was written */
} disk_file;

int cv_h5_disk_write(cv_h5_disk *disk, int64_t addr, const void *data, size_t n)
{
    const char *p = data;
    while (n && !disk->errnum) {
        ssize_t k = pwrite(disk->fd, p, n, addr);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            disk->errnum = k < 0 ? errno : EIO;
            break;
        }
        p += k;
        addr += k;
        n -= (size_t)k;
    }
    return disk->errnum;
}

static H5FD_t *disk_open(const char *name, unsigned flags, hid_t access,
                         haddr_t max)
{
    disk_file *f = CV_NEW(1, disk_file);
    cv_h5_disk *const *info = H5Pget_driver_info(access);
    (void)name;
    (void)flags;
    (void)max;
    CV_CHECK(info);
    f->disk = *info;
    return &f->head;
}

static herr_t disk_close(H5FD_t *file)
{
    free(file); /* the descriptor is the writer's */
    return 0;
}

static herr_t disk_query(const H5FD_t *file, unsigned long *features)
{
    (void)file; /* HDF5 asks before there is one */
    *features = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA |
                H5FD_FEAT_AGGREGATE_SMALLDATA |
                H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t disk_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const disk_file *)file)->allocated;
}

static herr_t disk_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t addr)
{
    (void)type;
    ((disk_file *)file)->allocated = addr;
    return 0;
}

static haddr_t disk_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const disk_file *)file)->written;
}

/* HDF5 reads back what it has dropped from its cache. */
static herr_t disk_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer,
                        haddr_t addr, size_t n, void *out)
{
    cv_h5_disk *disk = ((disk_file *)file)->disk;
    char *p = out;
    (void)type;
    (void)transfer;
    memset(out, 0, n);
    while (n && !disk->errnum) {
        ssize_t k = pread(disk->fd, p, n, (off_t)addr);
        if (k == 0)
            break; /* zeros beyond the end, as in a file with holes */
        if (k < 0 && errno != EINTR)
            disk->errnum = errno;
        if (k < 0)
            continue;
        p += k;
        addr += (haddr_t)k;
        n -= (size_t)k;
    }
    return 0;
}

static herr_t disk_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer,
                         haddr_t addr, size_t n, const void *data)
{
    disk_file *f = (disk_file *)file;
    (void)type;
    (void)transfer;
    (void)cv_h5_disk_write(f->disk, (int64_t)addr, data, n);
    f->written = addr + n > f->written ? addr + n : f->written;
    return 0;
}

static herr_t disk_truncate(H5FD_t *file, hid_t transfer, hbool_t closing)
{
    disk_file *f = (disk_file *)file;
    (void)transfer;
    (void)closing;
    if (!f->disk->errnum && ftruncate(f->disk->fd, (off_t)f->allocated) != 0)
        f->disk->errnum = errno;
    f->written = f->allocated;
    return 0;
}

static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = 512, /* of those for private drivers */
#endif
    .name = "covey_disk",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(cv_h5_disk *),
    .open = disk_open,
    .close = disk_close,
    .query = disk_query,
    .get_eoa = disk_get_eoa,
    .set_eoa = disk_set_eoa,
    .get_eof = disk_get_eof,
    .read = disk_read,
    .write = disk_write,
    .truncate = disk_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

hid_t cv_h5_disk_driver(void)
{
    hid_t id = H5FDregister(&driver);
    CV_CHECK(id >= 0);
    return id;
}
