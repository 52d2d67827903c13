// Package health knows how the storage nodes and devices are that files are read from,
// by what the requests of all edges of a process meet.
//
// A read looks up the [Place] of each copy of its file in the [Board] and goes to the
// one whose node and device are best. It begins a [Call], which says that it waits for the
// node, that something came, that an answer took so long, and that it is over. A request
// that fails says so with [Unit.Failed]: from then on no request goes there while there is
// another copy. What failed is asked again after a pause that grows each time, by one
// request or one question alone ([Unit.Ask], [Unit.Try]).
//
// A node can be gone without anybody being told: frozen, or behind a cable that was pulled.
// So a goroutine of the board looks at all calls ten times a second. A node or device
// that requests wait for, and from which nothing came for a while, is passed over
// by new requests; when the silence lasts, it has failed, and the calls that wait for it
// and have somewhere else to go are told to leave. A node whose answers take many times as
// long as those of the others is passed over as well.
//
// It asks nobody anything itself, keeps nothing on disk, and knows neither HTTP nor the
// order of copies.
package health
