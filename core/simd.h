/** Hot loops: compiled for several instruction sets, chosen when the program
 *  starts, so that one binary is fast on old and new nodes of a cluster. */
#ifndef COVEY_CORE_SIMD_H
#define COVEY_CORE_SIMD_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) &&         \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CV_HOT                                                                 \
    __attribute__((                                                            \
        target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CV_HOT
#endif

#endif
