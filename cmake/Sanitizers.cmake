if(NIGHTJAR_SANITIZE)
  add_compile_options(-fsanitize=${NIGHTJAR_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${NIGHTJAR_SANITIZE})
endif()
