package sim

// saveAccount saves the limits and outages of the account and the rules of EventBridge.
func saveAccount(a *archive, w *World) {
	part(a, "limits", &w.limits)
	each(a, "outages", &w.outages, func(a *archive, o *Outage) { o.fields(a) })
	parts(a, "rules", &w.rules)
}

func (l *limits) fields(a *archive) {
	val(a, "on", &l.on)
	each(a, "scales", &l.scales, func(a *archive, s *limitScale) { s.fields(a) })
	parts(a, "buckets", &l.buckets)
}

func (s *limitScale) fields(a *archive) {
	val(a, "target", &s.target)
	val(a, "share", &s.share)
}

func (b *bucket) fields(a *archive) {
	val(a, "limit", &b.limit)
	val(a, "tokens", &b.tokens)
	val(a, "at", &b.at)
	val(a, "refused", &b.refused)
}

func (o *Outage) fields(a *archive) {
	val(a, "target", &o.Target)
	val(a, "kind", &o.Kind)
	val(a, "share", &o.Share)
	val(a, "until", &o.Until)
	val(a, "status", &o.Status)
	val(a, "code", &o.Code)
	val(a, "median", &o.Median)
	val(a, "tail99", &o.Tail99)
	val(a, "calls", &o.Calls)
	val(a, "hits", &o.Hits)
	val(a, "id", &o.id)
}

func (r *rule) fields(a *archive) {
	val(a, "rule", &r.Rule)
	val(a, "targets", &r.targets)
	a.derived("made of the pattern", &r.matches)
	a.after(func() error {
		if r.EventPattern == "" {
			return nil
		}
		var err error
		r.matches, err = parsePattern(r.EventPattern)
		return err
	})
}

func (r *redrive) fields(a *archive) {
	val(a, "target", &r.target)
	val(a, "after", &r.after)
}
