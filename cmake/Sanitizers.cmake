if(NIGHTJAR_SANITIZE)
  add_compile_options(-fsanitize=${NIGHTJAR_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${NIGHTJAR_SANITIZE})
endif()

# What the fuzz targets call has to show the fuzzer where it goes.
if(NIGHTJAR_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
