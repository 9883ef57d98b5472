// Package cloud is where Neap meets AWS: ECS, EC2, SSM, SQS and the price list, through the
// AWS SDK. Nothing of the SDK leaves it: what comes out is package snapshot's input and the
// vocabulary of package fleet, and every AWS error code becomes one of fleet's errors.
//
// An [Account] is one AWS account and region. It has three faces, so that each service can
// be given no more than the permissions that it needs (calls.go lists them):
//
//   - [Reader] sees everything and changes nothing: the watcher's, and `neap plan`'s.
//   - [Launcher] launches, tags and stamps attributes; it cannot end an instance.
//   - [Drainer] drains, stops, deregisters and terminates; it cannot launch.
//
// [ReadDir] reads what a [Reader] would from files that the AWS CLI wrote.
//
// # Manners
//
// All calls of an account share one token bucket for each bucket that AWS publishes, filled
// at a quarter of its rate, so that Neap never starves ECS itself or its neighbours; a
// throttled call halves the rate for a while. Drains have a lane of their own, which sweeps
// cannot fill. Reads are repeated a few times by the SDK; calls that change something never
// are: their caller alone knows whether the same request may be sent again.
//
// # Time
//
// [Account.Now] is the time of AWS, taken from its answers. Everything that is decided is
// decided by this clock; the local one only bounds how long a call may take.
package cloud
