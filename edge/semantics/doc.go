// Package semantics is the part of HTTP's that needs no file: what the conditions and the
// ranges of a request come to (RFC 9110 §13 and §14), as pure functions of headers and of
// what is known of the content.
package semantics
