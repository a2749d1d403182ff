//! An instance of TurboJPEG, and its parameters and complaints.

use std::ffi::CStr;
use std::ptr::NonNull;

use turbojpeg::libc::{c_int, c_void};
use turbojpeg::raw;

use super::warnings::is_warning;

/// A decoder's complaint about data that it decoded all the same.
pub type Warning = Option<String>;

/// An instance of TurboJPEG.
#[derive(Debug)]
pub struct Handle(NonNull<c_void>);

// SAFETY: a TurboJPEG instance has no thread affinity; it must only not be used from two threads
// at once, which `&mut self` on every call sees to.
unsafe impl Send for Handle {}

impl Handle {
    pub fn new(init: raw::TJINIT) -> Result<Self, String> {
        let init = c_int::try_from(init).map_err(|error| error.to_string())?;
        // SAFETY: tj3Init takes a plain number and returns an owned instance or null.
        let pointer = unsafe { raw::tj3Init(init) };
        NonNull::new(pointer)
            .map(Self)
            .ok_or_else(|| "libjpeg-turbo has no memory for an instance".to_owned())
    }

    /// The instance, for calls of C: alive as long as the handle.
    pub fn pointer(&self) -> *mut c_void {
        self.0.as_ptr()
    }

    fn message(&self) -> String {
        // SAFETY: the instance is alive, and the returned string is a NUL-terminated array inside
        // it that is copied before the next call.
        let text = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.0.as_ptr())) };
        text.to_string_lossy().into_owned()
    }

    /// Sorts a return code into success, success with a warning, and failure. An error that comes
    /// after a warning has the code of a warning, but only the text of a warning makes one: else
    /// what was in the buffers before, another picture, would pass for this one.
    pub fn verdict(&self, code: c_int) -> Result<Warning, String> {
        if code == 0 {
            return Ok(None);
        }
        // SAFETY: the instance is alive.
        let severity = unsafe { raw::tj3GetErrorCode(self.0.as_ptr()) };
        let message = self.message();
        if u32::try_from(severity) == Ok(raw::TJERR_TJERR_WARNING) && is_warning(&message) {
            Ok(Some(message))
        } else {
            Err(message)
        }
    }

    pub fn set(&mut self, parameter: raw::TJPARAM, value: c_int) -> Result<(), String> {
        let parameter = c_int::try_from(parameter).map_err(|error| error.to_string())?;
        // SAFETY: the instance is alive; TurboJPEG checks parameter and value.
        let code = unsafe { raw::tj3Set(self.0.as_ptr(), parameter, value) };
        self.verdict(code).map(|_| ())
    }

    pub fn get(&mut self, parameter: raw::TJPARAM) -> c_int {
        let Ok(parameter) = c_int::try_from(parameter) else {
            return -1;
        };
        // SAFETY: the instance is alive; unknown parameters yield -1.
        unsafe { raw::tj3Get(self.0.as_ptr(), parameter) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the instance was made by tj3Init, is owned here alone and not used again.
        unsafe { raw::tj3Destroy(self.0.as_ptr()) }
    }
}
