// Package crowd surrounds one real process with clients that are many, slow or deaf,
// and holds that a client among them is served as if it were alone.
//
// Ten thousand connections have asked once and say nothing more. One client asks for
// long lists and never reads an answer, one sends a byte a second, one sends a thousand
// lines at once. Meanwhile another asks, and every answer must come soon. The memory of
// the process is bounded throughout, and when all are gone, so is what they took.
package crowd
