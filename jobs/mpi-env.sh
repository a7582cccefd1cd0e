# Sourced by our scripts: settings for mpirun on one machine.
# Containers and CI run as root, on fewer cores than ranks; and with one or two
# ranks Open MPI would pin each to one core.
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
export OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none
