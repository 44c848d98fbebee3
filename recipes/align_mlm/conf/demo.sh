# The settings of `make demo`, for the ablations on two cores.
source recipes/demo/conf/demo.sh
