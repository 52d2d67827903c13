package sidechannel

import "sync"

// Watchers hands each block to all who watch. The zero value is ready.
type Watchers struct {
	mu   sync.Mutex // guards subs
	subs map[chan []byte]struct{}
}

// Add returns a channel with room for one block: who has not taken it when the next
// comes misses the next.
func (ws *Watchers) Add() chan []byte {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.subs == nil {
		ws.subs = make(map[chan []byte]struct{})
	}
	c := make(chan []byte, 1)
	ws.subs[c] = struct{}{}
	return c
}

// Remove takes back a channel from Add.
func (ws *Watchers) Remove(c chan []byte) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.subs, c)
}

// Empty reports whether nobody watches.
func (ws *Watchers) Empty() bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return len(ws.subs) == 0
}

// Send hands a block to those who have taken the one before.
func (ws *Watchers) Send(block []byte) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for c := range ws.subs {
		select {
		case c <- block:
		default:
		}
	}
}
