/* An MPI program that does nothing: what starting one costs. The peer of
 * bench_launch.py. */
#include <mpi.h>

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Finalize();
    return 0;
}
