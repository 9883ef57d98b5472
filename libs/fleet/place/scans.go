package place

// Scans is how many more times than never [Cluster.Place] has looked at every node for a
// task, up to the number from which on it keeps an index. Together with the nodes and what
// is on them it is all that decides what Place does next.
func (c *Cluster) Scans(t *Task) int {
	k, known := c.tasks[t]
	switch {
	case !known:
		return 0
	case k.index != nil:
		return scansBeforeIndex
	}
	return min(k.scans, scansBeforeIndex)
}

// SetScans has Place go on as after so many scans: for a cluster that is made again.
func (c *Cluster) SetScans(t *Task, n int) { c.know(t).scans = min(max(n, 0), scansBeforeIndex) }
