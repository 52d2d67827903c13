// Package upload is the body of an upload on its way from a client to a device.
//
// An edge makes a [Body] of a request, says what is to be hashed, and pumps it into one
// destination after the other until one has taken it: the bytes are counted and hashed once,
// as they are read, and the first of them are kept, so that a destination that fails early
// can be followed by another. [Several] brings it to more
// than one at once, by a [Fan]. It knows no trackers.
package upload
