if(NIGHTJAR_SANITIZE)
  # -O1 and line tables are what reports need; more only takes longer to build.
  add_compile_options(-fsanitize=${NIGHTJAR_SANITIZE} -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${NIGHTJAR_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # What sanitizers put in between makes GCC 12 see uninitialised members in every std::variant. The
    # other builds keep this warning.
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()

# What the fuzz targets call has to show the fuzzer where it goes.
if(NIGHTJAR_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
