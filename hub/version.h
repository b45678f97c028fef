#pragma once
/* version -- who we say we are on every wire. TRUNKLINE_VERSION comes from CMakeLists.txt. */
#ifndef TRUNKLINE_VERSION
#define TRUNKLINE_VERSION "0.1.0"
#endif
#define TRUNKLINE_INFO \
    "{\"name\":\"trunkline\",\"title\":\"Trunkline\",\"version\":\"" TRUNKLINE_VERSION "\"}"
