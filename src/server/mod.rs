//! The operations listener: health, metrics, what each connector is doing.
