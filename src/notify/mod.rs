//! SEAM
