// Makes a device that speaks JSON or short topics of one that speaks protobuf: rewrites what goes
// over its line.
#pragma once

#include <cstdint>
#include <string>

#include "client-sim/brain/device_brain.h"

namespace nightjar::worlds {

void ToJsonLine(client::Packet& packet);                         // to the broker
bool FromJsonLine(std::string& topic, std::string& payload);     // from it; false: no JSON
void Shorten(client::Packet& packet);                            // chat/send -> s, ...
void AnnounceFrame(client::Packet& packet, uint32_t max_frame);  // in acknowledgements

}  // namespace nightjar::worlds
