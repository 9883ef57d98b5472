package fleet

// WriteJSON is how the body of a snapshot's message is written, valid or not.
var WriteJSON = (*Snapshot).writeJSON
