package sim

import "time"

// Delays are how long things take in the world. Each is drawn from the seed between half
// and one and a half of its value, except where it says exact.
type Delays struct {
	Pending     time.Duration // EC2: pending → running
	Register    time.Duration // EC2 running → agent registered with ECS
	Trunk       time.Duration // ECS: REGISTERING → ACTIVE while a trunk interface is attached
	Terminate   time.Duration // EC2: shutting-down → terminated
	Disconnect  time.Duration // EC2 shutting-down → ECS sees the agent disconnected
	Linger      time.Duration // exact: how long terminated instances stay listed
	Visible     time.Duration // exact: launched → listed by DescribeInstances; default none
	Provision   time.Duration // task PROVISIONING (awsvpc only)
	Pull        time.Duration // task PENDING: image pull
	Activate    time.Duration // task ACTIVATING (behind a load balancer only)
	Deactivate  time.Duration // task DEACTIVATING (behind a load balancer only)
	Stop        time.Duration // SIGTERM → containers ended; cut off at the stop timeout
	Deprovision time.Duration // task DEPROVISIONING (awsvpc only)
	Healthy     time.Duration // exact: RUNNING → counted healthy
	StoppedTask time.Duration // exact: how long STOPPED tasks stay describable
	SpotWarning time.Duration // exact: interruption warning → EC2 takes the instance
	Event       time.Duration // something happens → its event is in the queues

	Reconcile     time.Duration // exact: pace of a service's scheduler while it has work
	RetryAttempts int           // placement attempts of a service before it backs off
	RetryShort    time.Duration // exact: between those attempts
	RetryLong     time.Duration // exact: the first back-off; each further one is twice as long
	RetryMax      time.Duration // exact: the longest back-off
}

// FastDelays are the default: what ECS and EC2 take, but with placement back-offs short
// enough to watch. See [MeasuredDelays] for those.
func FastDelays() Delays {
	return Delays{
		Pending:     8 * time.Second,
		Register:    32 * time.Second, // launch to registered is 41 s where it was measured
		Trunk:       10 * time.Second,
		Terminate:   30 * time.Second,
		Disconnect:  5 * time.Second,
		Linger:      time.Hour,
		Provision:   4 * time.Second,
		Pull:        6 * time.Second,
		Activate:    4 * time.Second,
		Deactivate:  20 * time.Second,
		Stop:        3 * time.Second,
		Deprovision: 4 * time.Second,
		Healthy:     40 * time.Second, // documented for tasks without a health check
		StoppedTask: time.Hour,        // documented as the least
		SpotWarning: 2 * time.Minute,  // documented
		Event:       400 * time.Millisecond,

		Reconcile:     time.Second,
		RetryAttempts: 3,
		RetryShort:    5 * time.Second,
		RetryLong:     20 * time.Second,
		RetryMax:      time.Minute,
	}
}

// MeasuredDelays are the placement back-offs that people measured on ECS: three attempts
// in about 50 seconds, then 5 minutes, then longer, up to the documented 15 minutes.
func MeasuredDelays() Delays {
	d := FastDelays()
	d.RetryShort, d.RetryLong, d.RetryMax = 25*time.Second, 5*time.Minute, 15*time.Minute
	return d
}

// None is a delay of no time at all, for the fields of [Delays], whose zero means the
// default.
const None = time.Nanosecond

func (d Delays) withDefaults() Delays {
	fast := FastDelays()
	for _, f := range []struct{ value, usual *time.Duration }{
		{&d.Pending, &fast.Pending},
		{&d.Register, &fast.Register},
		{&d.Trunk, &fast.Trunk},
		{&d.Terminate, &fast.Terminate},
		{&d.Disconnect, &fast.Disconnect},
		{&d.Linger, &fast.Linger},
		{&d.Provision, &fast.Provision},
		{&d.Pull, &fast.Pull},
		{&d.Activate, &fast.Activate},
		{&d.Deactivate, &fast.Deactivate},
		{&d.Stop, &fast.Stop},
		{&d.Deprovision, &fast.Deprovision},
		{&d.Healthy, &fast.Healthy},
		{&d.StoppedTask, &fast.StoppedTask},
		{&d.SpotWarning, &fast.SpotWarning},
		{&d.Event, &fast.Event},
		{&d.Reconcile, &fast.Reconcile},
		{&d.RetryShort, &fast.RetryShort},
		{&d.RetryLong, &fast.RetryLong},
		{&d.RetryMax, &fast.RetryMax},
	} {
		if *f.value <= 0 {
			*f.value = *f.usual
		}
	}
	if d.RetryAttempts <= 0 {
		d.RetryAttempts = fast.RetryAttempts
	}
	return d
}
