// Package takeover puts this project's tracker on databases that others have made, beside
// trackers of old, and takes it away again.
package takeover
