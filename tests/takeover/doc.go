// Package takeover puts this project's trackers on databases that others have made
// (package legacy), beside trackers of old, and takes them away again. Clients speak to
// them over the wire; the storage nodes are small servers that remember what they were
// sent.
package takeover
