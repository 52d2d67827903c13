// Package screen is what people at a terminal see: aligned tables, colours for states,
// and progress that is redrawn in its line.
//
// A listing hands a [Table] its rows, with words that [Paint] has coloured if they are to
// be, and the table aligns and writes them. A [Progress] is told of each step and draws
// itself when something has changed and the last drawing is a while ago; it draws nothing
// in the first second.
//
// It does not know whether there is a terminal: whoever calls it does.
package screen
