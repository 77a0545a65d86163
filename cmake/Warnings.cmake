# Our own code compiles without warnings; generated code is not held to that.
add_library(nightjar_warnings INTERFACE)
target_compile_options(nightjar_warnings INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
                       -Werror=return-type -Werror=switch)
